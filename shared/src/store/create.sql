-- Makes rows of listed users who have none. If one of them has a row by now, this fails
-- as a whole, and the join takes its place: it costs Postgres twice as much. The
-- users are put in from join_many.sql, which has $1 to $6.
--
-- $7  text   provider
-- $8  text[] project, by all its names
-- $9  bigint the run whose changes are to be recorded; NULL: none is
-- $10 bigint how many of them at most
WITH bound AS (
  SELECT FROM neon_identity.connection WHERE provider = $7 AND project = ANY ($8)
),
created AS (
  INSERT INTO neon_identity.users_sync (raw_json, id, name, email, created_at, updated_at)
  SELECT new.raw_json::jsonb, new.id, new.name, new.email, new.created_at, new.at
  FROM profiles_to_join
  AS new (id, raw_json, name, email, created_at, at)
  WHERE EXISTS (SELECT FROM bound)
  ORDER BY new.id -- two batches lock in the same order, or they deadlock
  RETURNING id
),
repaired AS (
  INSERT INTO neon_identity.repairs (run_id, user_id, change)
  SELECT $9, created.id, 'created'
  FROM created
  WHERE $9 IS NOT NULL
  LIMIT $10
)
SELECT id FROM created;
