-- A page of users whose name, e-mail or id begins with a text: first those found
-- by their name, then those by their e-mail, then those by their id, each in order
-- and each user once.
--
-- $1 text    what to look for
-- $2 text    which: all, living, deleted or placeholders
-- $3 integer by what the last user of the page before was found; NULL: the first page
-- $4 text    its key
-- $5 text    its id
-- $6 bigint  how many
WITH sought AS (
  SELECT pg_catalog.lower($1) AS folded
),
found AS (
  (
    SELECT 0 AS by, pg_catalog.left(pg_catalog.lower(name), 64) COLLATE "C" AS key, kept.*
    FROM neon_identity.users_sync AS kept
    -- As the index has it. Names of any length are cut there.
    WHERE pg_catalog.left(pg_catalog.lower(name), 64) COLLATE "C" LIKE
      pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        pg_catalog.left(pg_catalog.lower($1), 64), '\', '\\'), '%', '\%'), '_', '\_') || '%'
      AND pg_catalog.starts_with(pg_catalog.lower(name), (SELECT folded FROM sought))
      AND coalesce($3, 0) <= 0
      AND ($3 IS NULL
        OR (pg_catalog.left(pg_catalog.lower(name), 64) COLLATE "C", id COLLATE "C") > ($4, $5))
      AND CASE WHEN $2 = 'deleted' THEN deleted_at IS NOT NULL ELSE true END
      AND CASE WHEN $2 = 'living' THEN deleted_at IS NULL AND updated_at IS NOT NULL ELSE true END
      AND CASE WHEN $2 = 'placeholders' THEN updated_at IS NULL AND deleted_at IS NULL ELSE true END
    ORDER BY pg_catalog.left(pg_catalog.lower(name), 64) COLLATE "C", id COLLATE "C"
    LIMIT $6
  )
  UNION ALL
  (
    SELECT 1 AS by, pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C" AS key, kept.*
    FROM neon_identity.users_sync AS kept
    WHERE pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C" LIKE
      pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        pg_catalog.left(pg_catalog.lower($1), 64), '\', '\\'), '%', '\%'), '_', '\_') || '%'
      AND pg_catalog.starts_with(pg_catalog.lower(email), (SELECT folded FROM sought))
      AND NOT coalesce(
        pg_catalog.starts_with(pg_catalog.lower(name), (SELECT folded FROM sought)), false)
      AND coalesce($3, 0) <= 1
      AND (coalesce($3, 0) < 1
        OR (pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C", id COLLATE "C") > ($4, $5))
      AND CASE WHEN $2 = 'deleted' THEN deleted_at IS NOT NULL ELSE true END
      AND CASE WHEN $2 = 'living' THEN deleted_at IS NULL AND updated_at IS NOT NULL ELSE true END
      AND CASE WHEN $2 = 'placeholders' THEN updated_at IS NULL AND deleted_at IS NULL ELSE true END
    ORDER BY pg_catalog.left(pg_catalog.lower(email), 64) COLLATE "C", id COLLATE "C"
    LIMIT $6
  )
  UNION ALL
  (
    SELECT 2 AS by, '' COLLATE "C" AS key, kept.*
    FROM neon_identity.users_sync AS kept
    WHERE id COLLATE "C" LIKE
      pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        $1, '\', '\\'), '%', '\%'), '_', '\_') || '%'
      AND NOT coalesce(
        pg_catalog.starts_with(pg_catalog.lower(name), (SELECT folded FROM sought)), false)
      AND NOT coalesce(
        pg_catalog.starts_with(pg_catalog.lower(email), (SELECT folded FROM sought)), false)
      AND (coalesce($3, 0) < 2 OR id COLLATE "C" > $5)
      AND CASE WHEN $2 = 'deleted' THEN deleted_at IS NOT NULL ELSE true END
      AND CASE WHEN $2 = 'living' THEN deleted_at IS NULL AND updated_at IS NOT NULL ELSE true END
      AND CASE WHEN $2 = 'placeholders' THEN updated_at IS NULL AND deleted_at IS NULL ELSE true END
    ORDER BY id COLLATE "C"
    LIMIT $6
  )
)
SELECT
  by,
  key,
  id,
  pg_catalog.left(name, 200),
  pg_catalog.left(email, 200),
  created_at,
  updated_at,
  deleted_at
FROM found
ORDER BY by, key, id COLLATE "C"
LIMIT $6;
