-- The join: takes each profile in if it is the newest thing known of its user. The
-- profiles are put in from join_one.sql or join_many.sql, which have $1 to $6.
--
-- $7  float8      staleness of what `at` is the time of, in seconds; 0 for versions
-- $8  boolean     whether a deleted user's id may come back
-- $9  boolean     whether a delivery caused this (else a listing did)
-- $10 text        provider
-- $11 text[]      project, by all its names
-- $12 text        event_id of the delivery that is to be recorded
-- $13 text        its event's type; NULL: no delivery is to be recorded
-- $14 timestamptz when the change was, by the provider's clock; NULL: it doesn't tell
-- $15 bigint      the run whose changes are to be recorded; NULL: none is
-- $16 bigint      how many of them at most
WITH bound AS (
  SELECT FROM neon_identity.connection WHERE provider = $10 AND project = ANY ($11)
),
new AS (
  SELECT *
  FROM profiles_to_join
  AS new (id, raw_json, name, email, created_at, at)
),
written AS (
  INSERT INTO neon_identity.users_sync AS kept (raw_json, id, name, email, created_at, updated_at)
  SELECT new.raw_json::jsonb, new.id, new.name, new.email, new.created_at, new.at
  FROM new
  WHERE EXISTS (SELECT FROM bound)
  ORDER BY new.id -- two batches lock in the same order, or they deadlock
  ON CONFLICT (id) DO UPDATE SET
    raw_json = excluded.raw_json,
    name = excluded.name,
    email = excluded.email,
    created_at = excluded.created_at,
    updated_at = greatest(kept.updated_at, excluded.updated_at),
    deleted_at = CASE
      WHEN kept.deleted_at IS NULL THEN NULL
      -- The id was given out again.
      WHEN $8 AND excluded.updated_at > kept.deleted_at THEN NULL
      WHEN $8 THEN kept.deleted_at
      -- A tombstone is final against deliveries, and not older than its profile.
      ELSE greatest(kept.deleted_at, excluded.updated_at)
    END
  WHERE (
    -- A placeholder loses to everything.
    kept.updated_at IS NULL
    OR (
      -- Too old for the new profile to be a stale read from before the row's.
      kept.updated_at < excluded.updated_at - pg_catalog.make_interval(secs => $7)
      AND ($9 OR (kept.raw_json::text, kept.name, kept.email, kept.created_at)
        IS DISTINCT FROM (excluded.raw_json::text, excluded.name, excluded.email, excluded.created_at))
    )
    OR (
      -- A delivery of what the row says already. Its time counts: if the user has
      -- changed there and back, a late delivery of the state in between would
      -- otherwise win for good. Write even if nothing changes, so that a concurrent
      -- settle that has already looked at this row sees that it moved.
      $9
      AND kept.updated_at <= excluded.updated_at + pg_catalog.make_interval(secs => $7)
      AND (kept.raw_json::text, kept.name, kept.email, kept.created_at)
        IS NOT DISTINCT FROM (excluded.raw_json::text, excluded.name, excluded.email, excluded.created_at)
    )
  )
  -- Where ids are given out again, a deletion and a profile this close can't be
  -- ordered.
  AND (
    $8
    AND kept.deleted_at >= excluded.updated_at - pg_catalog.make_interval(secs => $7)
    AND kept.deleted_at <= excluded.updated_at + pg_catalog.make_interval(secs => $7)
  ) IS NOT TRUE
  -- A tombstone with a version and no profile was erased (erase_user): nothing
  -- fills it again, unless the id was given out again.
  AND ($8 OR kept.deleted_at IS NULL OR kept.updated_at IS NULL OR kept.raw_json <> '{}')
  RETURNING kept.id, kept.xmax = 0 AS created
),
joined AS (
  SELECT
    new.id,
    CASE
      WHEN NOT EXISTS (SELECT FROM bound) THEN 'foreign'
      WHEN written.created THEN 'created'
      -- From here on the row is looked at as it was when the statement began: if it
      -- has changed since, the answer is at worst 'tied', and a read settles that.
      WHEN written.id IS NOT NULL THEN CASE
        WHEN kept.updated_at >= new.at
          AND (kept.raw_json::text, kept.name, kept.email, kept.created_at)
            IS NOT DISTINCT FROM (new.raw_json::jsonb::text, new.name, new.email, new.created_at)
          THEN 'unchanged'
        ELSE 'updated'
      END
      WHEN NOT $8 AND kept.deleted_at IS NOT NULL AND kept.updated_at IS NOT NULL
        AND kept.raw_json = '{}' THEN 'stale'
      WHEN kept.updated_at > new.at + pg_catalog.make_interval(secs => $7) THEN 'stale'
      WHEN NOT $9
        AND (kept.raw_json::text, kept.name, kept.email, kept.created_at)
          IS NOT DISTINCT FROM (new.raw_json::jsonb::text, new.name, new.email, new.created_at)
        THEN 'unchanged'
      ELSE 'tied'
    END AS outcome
  FROM new
  LEFT JOIN written USING (id)
  LEFT JOIN neon_identity.users_sync AS kept USING (id)
),
recorded AS (
  INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome, lag_ms)
  SELECT $12, $13, joined.id, joined.outcome, CASE WHEN $14 IS NOT NULL THEN greatest(
      0.0,
      (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - EXTRACT(epoch FROM $14)) * 1000.0
    )::bigint END
  FROM joined
  WHERE $13 IS NOT NULL
    AND joined.outcome NOT IN ('foreign', 'tied') -- what is tied is settled
),
repaired AS (
  INSERT INTO neon_identity.repairs (run_id, user_id, change)
  SELECT $15, joined.id, joined.outcome
  FROM joined
  WHERE $15 IS NOT NULL AND joined.outcome IN ('created', 'updated')
  LIMIT $16
)
SELECT id, outcome FROM joined;
