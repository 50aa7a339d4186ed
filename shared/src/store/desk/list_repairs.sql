-- What a run changed, user by user.
--
-- $1 bigint run
-- $2 bigint the last repair of the page before; NULL: the first page
-- $3 bigint how many
SELECT id, user_id, change, at
FROM neon_identity.repairs
WHERE run_id = $1 AND ($2 IS NULL OR id > $2)
ORDER BY id
LIMIT $3;
