-- Ids of living users in order, a page at a time.
--
-- $1 text   the last id of the page before; NULL: from the start
-- $2 bigint how many
SELECT id
FROM neon_identity.users_sync
WHERE deleted_at IS NULL AND ($1::text IS NULL OR id > $1)
ORDER BY id
LIMIT $2;
