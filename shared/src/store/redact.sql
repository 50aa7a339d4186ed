-- Takes what is not to be kept out of rows that have not changed since they were
-- read; gives back their ids. Neither their versions nor their deletions change.
--
-- $1 text[]        id
-- $2 text[]        token of the row that was read
-- $3 text[]        raw_json
-- $4 boolean[]     whether the columns can be read from it
-- $5 text[]        name
-- $6 text[]        email
-- $7 timestamptz[] created_at
-- $8 text          provider
-- $9 text[]        project, by all its names
WITH new AS (
  SELECT *
  FROM ROWS FROM (
    pg_catalog.unnest($1::text[]),
    pg_catalog.unnest($2::text[]),
    pg_catalog.unnest($3::text[]),
    pg_catalog.unnest($4::boolean[]),
    pg_catalog.unnest($5::text[]),
    pg_catalog.unnest($6::text[]),
    pg_catalog.unnest($7::timestamptz[])
  ) AS new (id, token, raw_json, readable, name, email, created_at)
),
known AS (
  SELECT new.*
  FROM neon_identity.users_sync AS kept
  JOIN new ON new.id = kept.id AND new.token = kept.xmin::text
  WHERE EXISTS (SELECT FROM neon_identity.connection WHERE provider = $8 AND project = ANY ($9))
  ORDER BY kept.id -- as joins and sweeps lock, or they deadlock
  FOR NO KEY UPDATE OF kept
)
UPDATE neon_identity.users_sync AS kept SET
  raw_json = known.raw_json::jsonb,
  name = CASE WHEN known.readable THEN known.name ELSE kept.name END,
  email = CASE WHEN known.readable THEN known.email ELSE kept.email END,
  created_at = CASE WHEN known.readable THEN known.created_at ELSE kept.created_at END
FROM known
WHERE kept.id = known.id
RETURNING kept.id, kept.deleted_at IS NOT NULL AS deleted;
