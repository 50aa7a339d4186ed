-- A page of users in the order of their ids.
--
-- $1 text   which: all, living, deleted or placeholders
-- $2 text   the last id of the page before; NULL: the first page
-- $3 bigint how many
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
WHERE ($2 IS NULL OR id COLLATE "C" > $2)
  -- The server knows $1 when it plans, so that each of them has its index.
  AND CASE WHEN $1 = 'deleted' THEN deleted_at IS NOT NULL ELSE true END
  AND CASE WHEN $1 = 'living' THEN deleted_at IS NULL AND updated_at IS NOT NULL ELSE true END
  AND CASE
    WHEN $1 = 'placeholders' THEN created_at IS NULL AND updated_at IS NULL AND deleted_at IS NULL
    ELSE true
  END
ORDER BY id COLLATE "C"
LIMIT $3;
