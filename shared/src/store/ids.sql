-- Ids in order, a page at a time, and whether each user is shown as living.
--
-- Deleted ones are not left out here: before the table has been analyzed the
-- planner believes that few are living, and would sort all of them for each page.
--
-- $1 text   the last id of the page before; NULL: from the start
-- $2 bigint how many
SELECT id, deleted_at IS NULL AS lives
FROM neon_identity.users_sync
WHERE $1::text IS NULL OR id > $1
ORDER BY id
LIMIT $2;
