-- Ids in order, a page at a time, and how each user is shown.
--
-- Tombstones are not left out here: until the table has been analyzed, the planner
-- believes that few users are living, and would sort them all for each page.
--
-- $1 text   the last id of the page before; NULL: from the start
-- $2 bigint how many
SELECT
  id,
  CASE
    WHEN deleted_at IS NOT NULL THEN 'tombstone'
    WHEN updated_at IS NULL THEN 'placeholder'
    ELSE 'living'
  END AS shown
FROM neon_identity.users_sync
WHERE $1::text IS NULL OR id > $1
ORDER BY id
LIMIT $2;
