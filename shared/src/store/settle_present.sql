-- Takes in a profile that was read after a look at the row, whatever the row
-- says, unless the row has changed since the look, or has a newer version.
--
-- $1  text        id
-- $2  text        token of the look; NULL: there was no row
-- $3  text        raw_json
-- $4  text        name
-- $5  text        email
-- $6  timestamptz created_at
-- $7  timestamptz at: the profile's version, or the time of the look
-- $8  boolean     whether the provider has versions
-- $9  boolean     whether this may clear a tombstone
-- $10 boolean     whether a delivery caused this (else a listing did)
-- $11 text        provider
-- $12 text[]      project, by all its names
-- $13 boolean     whether a person has given the row its version
-- $14 text        event_id of the delivery that is to be recorded
-- $15 text        its event's type; NULL: no delivery is to be recorded
-- $16 timestamptz when the change was, by the provider's clock; NULL: it doesn't tell
-- $17 bigint      the run whose changes are to be recorded; NULL: none is
-- $18 bigint      how many of them at most
WITH bound AS (
  SELECT FROM neon_identity.connection WHERE provider = $11 AND project = ANY ($12)
),
kept AS (
  SELECT
    kept.deleted_at IS NOT NULL AS tombstone,
    (
      NOT $10
      AND kept.deleted_at IS NULL
      AND (kept.raw_json::text, kept.name, kept.email, kept.created_at)
        IS NOT DISTINCT FROM ($3::jsonb::text, $4, $5, $6)
      AND (kept.updated_at = $7 OR NOT $8 AND kept.updated_at < $7)
    ) IS TRUE AS same, -- updated_at may be NULL
    -- The read is staler than any is assumed to be. Only a person sets a version
    -- in the future; clocks can be off by as much as a delivery's are allowed to be.
    (
      $8
      AND NOT $13
      AND kept.updated_at > $7
      AND kept.updated_at <= pg_catalog.clock_timestamp() + interval '5 minutes'
      -- The version that erase_user leaves is not the provider's.
      AND (kept.deleted_at IS NULL OR kept.raw_json <> '{}')
    ) IS TRUE AS newer,
    -- A tombstone with a version and no profile (erase_user) takes in no profile.
    NOT $9
      AND kept.deleted_at IS NOT NULL
      AND kept.updated_at IS NOT NULL
      AND kept.raw_json = '{}' AS erased
  FROM neon_identity.users_sync AS kept
  WHERE kept.id = $1 AND kept.xmin::text = $2
  FOR NO KEY UPDATE -- neither this nor an application's foreign keys wait
),
created AS (
  INSERT INTO neon_identity.users_sync (raw_json, id, name, email, created_at, updated_at)
  SELECT $3::jsonb, $1, $4, $5, $6, $7
  WHERE $2 IS NULL AND EXISTS (SELECT FROM bound)
  ON CONFLICT DO NOTHING
  RETURNING id
),
updated AS (
  UPDATE neon_identity.users_sync AS stored SET
    raw_json = $3::jsonb,
    name = $4,
    email = $5,
    created_at = $6,
    updated_at = $7,
    deleted_at = CASE
      WHEN stored.deleted_at IS NULL OR $9 THEN NULL
      ELSE greatest(stored.deleted_at, $7)
    END
  FROM kept
  WHERE stored.id = $1
    AND stored.xmin::text = $2
    AND NOT kept.same
    AND NOT kept.newer
    AND NOT kept.erased
    AND EXISTS (SELECT FROM bound)
  RETURNING stored.id
),
settled AS (
  SELECT CASE
    WHEN NOT EXISTS (SELECT FROM bound) THEN 'foreign'
    WHEN EXISTS (SELECT FROM created) THEN 'created'
    WHEN EXISTS (SELECT FROM updated) THEN
      CASE WHEN $9 AND (SELECT tombstone FROM kept) THEN 'revived' ELSE 'updated' END
    WHEN (SELECT same OR erased FROM kept) THEN 'unchanged'
    WHEN (SELECT newer FROM kept) THEN 'stale'
    ELSE 'moved'
  END AS outcome
),
recorded AS (
  INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome, lag_ms)
  SELECT $14, $15, $1, settled.outcome, CASE WHEN $16 IS NOT NULL THEN greatest(
      0.0,
      (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - EXTRACT(epoch FROM $16)) * 1000.0
    )::bigint END
  FROM settled
  WHERE $15 IS NOT NULL
    AND settled.outcome NOT IN ('foreign', 'stale', 'moved') -- the latter two are tried again
),
repaired AS (
  INSERT INTO neon_identity.repairs (run_id, user_id, change)
  SELECT $17, $1, settled.outcome
  FROM settled
  WHERE $17 IS NOT NULL AND settled.outcome IN ('created', 'updated', 'revived')
  LIMIT $18
)
SELECT outcome FROM settled;
