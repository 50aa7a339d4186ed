-- Keeps how far a look for differences has come, and what it has found: of each kind of difference so
-- many users.
--
-- $1 boolean whether it has seen everybody
-- $2 bigint  how many users it was shown this time
-- $3 text    its place
-- $4 bytea   whom it has met
-- $5 bigint  how many of them it has rejected
-- $6 bigint  how many of those had no id
-- $7 text[]  users who differ
-- $8 text[]  how each does
-- $9 bigint  how many of a kind are kept
WITH known AS (
  SELECT change, pg_catalog.count(*) AS count FROM neon_identity.differences GROUP BY change
),
found AS (
  SELECT
    new.user_id,
    new.change,
    pg_catalog.row_number() OVER (PARTITION BY new.change ORDER BY new.user_id COLLATE "C")
      + coalesce((SELECT known.count FROM known WHERE known.change = new.change), 0) AS place
  FROM unnest($7, $8) AS new (user_id, change)
),
kept AS (
  INSERT INTO neon_identity.differences AS differences (user_id, change)
  SELECT DISTINCT ON (user_id) user_id, change FROM found WHERE place <= $9 ORDER BY user_id
  ON CONFLICT (user_id) DO UPDATE SET change = EXCLUDED.change
)
UPDATE neon_identity.look SET
  looked_at = pg_catalog.clock_timestamp(),
  ended_at = CASE WHEN $1 THEN pg_catalog.clock_timestamp() END,
  listed = listed + $2,
  position = $3,
  met = $4,
  rejected = $5,
  nameless = $6;
