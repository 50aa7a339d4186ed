-- Users who differ in one way, in the order of their ids.
--
-- $1 text   how: create, update, delete or revive
-- $2 text   the last id of those before; NULL: the first
-- $3 bigint how many
SELECT user_id FROM neon_identity.differences
WHERE change = $1 AND ($2 IS NULL OR user_id > $2)
ORDER BY user_id
LIMIT $3;
