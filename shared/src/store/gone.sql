-- The join of a deletion; it may arrive before the user does.
--
-- $1  text        id
-- $2  timestamptz at: when the user was gone
-- $3  float8      staleness of the provider's reads in seconds; 0 for versions
-- $4  boolean     whether a deleted user's id may come back
-- $5  text        provider
-- $6  text[]      project, by all its names
-- $7  text        event_id of the delivery that is to be recorded
-- $8  text        its event's type; NULL: no delivery is to be recorded
-- $9  timestamptz when the change was, by the provider's clock; NULL: it doesn't tell
-- $10 bigint      the run whose changes are to be recorded; NULL: none is
-- $11 bigint      how many of them at most
WITH bound AS (
  SELECT FROM neon_identity.connection WHERE provider = $5 AND project = ANY ($6)
),
marked AS (
  UPDATE neon_identity.users_sync AS kept SET
    -- Not before the profile that it ends, whose clock may count finer. An
    -- infinite time that a person put in is replaced.
    deleted_at = greatest(
      CASE WHEN pg_catalog.isfinite(kept.deleted_at) THEN kept.deleted_at END,
      $2,
      CASE WHEN pg_catalog.isfinite(kept.updated_at) THEN kept.updated_at END
    ),
    updated_at = CASE WHEN NOT pg_catalog.isfinite(kept.updated_at) THEN $2 ELSE kept.updated_at END
  WHERE kept.id = $1
    AND EXISTS (SELECT FROM bound)
    AND (
      -- The user is gone for good, whenever that was.
      NOT $4
      OR kept.updated_at IS NULL
      -- Otherwise the user may have come back since.
      OR kept.updated_at < $2 - pg_catalog.make_interval(secs => $3)
    )
  RETURNING kept.id
),
made AS (
  -- No upsert: it would hold a row without a profile against the table's own
  -- rules, although a row with one is there.
  INSERT INTO neon_identity.users_sync (raw_json, id, deleted_at)
  SELECT '{}', $1, $2
  WHERE EXISTS (SELECT FROM bound)
    AND NOT EXISTS (SELECT FROM neon_identity.users_sync WHERE id = $1)
  ON CONFLICT DO NOTHING
  RETURNING id
),
joined AS (
  SELECT CASE
    WHEN NOT EXISTS (SELECT FROM bound) THEN 'foreign'
    -- The user may have come back, or another statement has made the row
    -- meanwhile: a read settles it.
    WHEN NOT EXISTS (SELECT FROM marked UNION ALL SELECT FROM made) THEN 'tied'
    -- The row as it was when the statement began: it was a tombstone already.
    WHEN EXISTS (SELECT FROM neon_identity.users_sync WHERE id = $1 AND deleted_at IS NOT NULL)
      THEN 'unchanged'
    ELSE 'updated'
  END AS outcome
),
recorded AS (
  INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome, lag_ms)
  SELECT
    $7,
    $8,
    $1,
    CASE joined.outcome WHEN 'updated' THEN 'deleted' ELSE joined.outcome END,
    CASE WHEN $9 IS NOT NULL THEN greatest(
      0.0,
      (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - EXTRACT(epoch FROM $9)) * 1000.0
    )::bigint END
  FROM joined
  WHERE $8 IS NOT NULL
    AND joined.outcome NOT IN ('foreign', 'tied') -- what is tied is settled
),
repaired AS (
  INSERT INTO neon_identity.repairs (run_id, user_id, change)
  SELECT $10, $1, 'tombstoned'
  FROM joined
  WHERE $10 IS NOT NULL AND joined.outcome = 'updated'
  LIMIT $11
)
SELECT outcome FROM joined;
