-- Ids in order, a page at a time, and how each user is shown, by a letter each. A
-- row for each of them would cost more than all else here.
--
-- Tombstones are not left out: until the table has been analyzed, the planner
-- believes that few users are living, and would sort them all for each page.
--
-- $1 text   the last id of the page before; NULL: from the start
-- $2 bigint how many
SELECT pg_catalog.array_agg(page.id), pg_catalog.string_agg(page.shown, '')
FROM (
  SELECT
    id,
    CASE
      WHEN deleted_at IS NOT NULL THEN 't'
      WHEN updated_at IS NULL THEN 'p'
      ELSE 'l'
    END AS shown
  FROM neon_identity.users_sync
  WHERE $1::text IS NULL OR id > $1
  ORDER BY id
  LIMIT $2
) AS page;
