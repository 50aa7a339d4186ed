-- Marks users as deleted that the provider, asked after a look at their rows,
-- did not have; gives back their ids. A row that changed since the look stays.
--
-- One call takes either users with rows or users without, never both: with both,
-- it would hold the rows that it has inserted while it waits for those that exist,
-- and deadlock with a join, which goes through both in one order.
--
-- $1  text[]        id
-- $2  text[]        token of the look; NULL: there was no row
-- $3  timestamptz[] when the row was looked at
-- $4  bigint        the run that sweeps, which must hold the lease; NULL: a delivery
-- $5  text          provider
-- $6  text[]        project, by all its names
-- $7  text          event_id of the delivery that is to be recorded
-- $8  text          its event's type; NULL: no delivery is to be recorded
-- $9  timestamptz   when the change was, by the provider's clock; NULL: it doesn't tell
-- $10 bigint        the run whose changes are to be recorded; NULL: none is
-- $11 bigint        how many of them at most
WITH permitted AS (
  SELECT
  FROM neon_identity.connection AS bound
  WHERE bound.provider = $5
    AND bound.project = ANY ($6)
    AND ($4 IS NULL OR EXISTS (
      SELECT FROM neon_identity.walk
      WHERE walk.run_id = $4 AND walk.lease_until > pg_catalog.clock_timestamp()
      FOR SHARE -- no other run takes the lease before this is done
    ))
),
asked AS (
  SELECT *
  FROM ROWS FROM (
    pg_catalog.unnest($1::text[]),
    pg_catalog.unnest($2::text[]),
    pg_catalog.unnest($3::timestamptz[])
  ) AS asked (id, token, at)
),
looked AS (
  SELECT
    kept.id,
    asked.at,
    kept.deleted_at IS NOT NULL AS tombstone,
    kept.updated_at IS NULL AS placeholder
  FROM neon_identity.users_sync AS kept
  JOIN asked ON asked.id = kept.id AND asked.token = kept.xmin::text
  ORDER BY kept.id -- two sweeps lock in the same order
  FOR NO KEY UPDATE OF kept -- neither this nor an application's foreign keys wait
),
created AS (
  INSERT INTO neon_identity.users_sync (raw_json, id, deleted_at)
  SELECT '{}', asked.id, asked.at
  FROM asked
  WHERE asked.token IS NULL AND EXISTS (SELECT FROM permitted)
  ORDER BY asked.id -- as joins insert, or the two deadlock
  ON CONFLICT DO NOTHING
  RETURNING id
),
updated AS (
  UPDATE neon_identity.users_sync AS kept SET
    -- An infinite time that a person put in is replaced.
    deleted_at = greatest(
      CASE WHEN pg_catalog.isfinite(kept.deleted_at) THEN kept.deleted_at END,
      looked.at,
      CASE WHEN pg_catalog.isfinite(kept.updated_at) THEN kept.updated_at END
    ),
    updated_at = CASE WHEN NOT pg_catalog.isfinite(kept.updated_at) THEN looked.at ELSE kept.updated_at END
  FROM looked
  WHERE kept.id = looked.id AND EXISTS (SELECT FROM permitted)
  RETURNING kept.id, looked.tombstone, looked.placeholder
),
settled AS (
  SELECT id, false AS tombstone, false AS placeholder FROM created
  UNION ALL
  SELECT id, tombstone, placeholder FROM updated
),
recorded AS (
  INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome, lag_ms)
  SELECT
    $7,
    $8,
    settled.id,
    CASE WHEN settled.tombstone THEN 'unchanged' ELSE 'deleted' END,
    CASE WHEN $9 IS NOT NULL THEN greatest(
      0.0,
      (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - EXTRACT(epoch FROM $9)) * 1000.0
    )::bigint END
  FROM settled
  WHERE $8 IS NOT NULL
),
repaired AS (
  INSERT INTO neon_identity.repairs (run_id, user_id, change, missed)
  -- No webhook tells of a placeholder whom the provider may never have had.
  SELECT $10, settled.id, 'tombstoned', CASE WHEN settled.placeholder THEN false END
  FROM settled
  WHERE $10 IS NOT NULL AND NOT settled.tombstone
  LIMIT $11
)
SELECT id FROM settled;
