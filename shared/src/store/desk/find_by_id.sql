-- A page of users whose id begins with a text, in order, but for those whom their
-- names or e-mails find.
--
-- $1 text   what to look for
-- $2 text   which: all, living, deleted or placeholders
-- $3 text   the last id of the page before; NULL: the first page
-- $4 bigint how many
SELECT
  2 AS by,
  '' AS key,
  id,
  pg_catalog.left(name, 200),
  pg_catalog.left(email, 200),
  created_at,
  updated_at,
  deleted_at
FROM neon_identity.users_sync
WHERE id COLLATE "C" LIKE
  pg_catalog.replace(pg_catalog.replace(pg_catalog.replace($1, '\', '\\'), '%', '\%'), '_', '\_') || '%'
  AND NOT coalesce(pg_catalog.starts_with(pg_catalog.lower(name), pg_catalog.lower($1)), false)
  AND NOT coalesce(pg_catalog.starts_with(pg_catalog.lower(email), pg_catalog.lower($1)), false)
  AND ($3 IS NULL OR id COLLATE "C" > $3)
  AND CASE WHEN $2 = 'deleted' THEN deleted_at IS NOT NULL ELSE true END
  AND CASE WHEN $2 = 'living' THEN deleted_at IS NULL AND updated_at IS NOT NULL ELSE true END
  AND CASE
    WHEN $2 = 'placeholders' THEN created_at IS NULL AND updated_at IS NULL AND deleted_at IS NULL
    ELSE true
  END
ORDER BY id COLLATE "C"
LIMIT $4;
