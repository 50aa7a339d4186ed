-- A page of users whose e-mail begins with a text, in order, but for those
-- whom their names find.
--
-- $1 text   what to look for
-- $2 text   which: all, living, deleted or placeholders
-- $3 text   the key of the last user of the page before; NULL: the first page
-- $4 text   that user's id
-- $5 bigint how many
SELECT
  1 AS by,
  pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C" AS key,
  id,
  pg_catalog.left(name, 200),
  pg_catalog.left(email, 200),
  created_at,
  updated_at,
  deleted_at
FROM neon_identity.users_sync
-- As the index has it: e-mails of any length are cut there.
WHERE pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C" LIKE
  pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
    pg_catalog.left(pg_catalog.lower($1), 64), '\', '\\'), '%', '\%'), '_', '\_') || '%'
  AND CASE
    WHEN pg_catalog.length($1) > 64
      THEN pg_catalog.starts_with(pg_catalog.lower(email), pg_catalog.lower($1))
    ELSE true
  END
  AND NOT coalesce(pg_catalog.starts_with(pg_catalog.lower(name), pg_catalog.lower($1)), false)
  AND ($3 IS NULL
    OR (pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C", id COLLATE "C") > ($3, $4))
  AND CASE WHEN $2 = 'deleted' THEN deleted_at IS NOT NULL ELSE true END
  AND CASE WHEN $2 = 'living' THEN deleted_at IS NULL AND updated_at IS NOT NULL ELSE true END
  AND CASE
    WHEN $2 = 'placeholders' THEN created_at IS NULL AND updated_at IS NULL AND deleted_at IS NULL
    ELSE true
  END
ORDER BY pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C", id COLLATE "C"
LIMIT $5;
