-- A page of users who differ from the provider and whose name, e-mail or id begins with a text, in the
-- order of their ids. Some have no row.
--
-- $1 text   what to look for; empty: everybody
-- $2 text   the last id of the page before; NULL: the first page
-- $3 bigint how many
SELECT
  2 AS by,
  '' AS key,
  found.user_id,
  pg_catalog.left(kept.name, 200),
  pg_catalog.left(kept.email, 200),
  kept.created_at,
  kept.updated_at,
  kept.deleted_at,
  found.change
FROM neon_identity.differences AS found
LEFT JOIN neon_identity.users_sync AS kept ON kept.id = found.user_id
WHERE ($2 IS NULL OR found.user_id > $2)
  AND CASE
    WHEN $1 = '' THEN true
    ELSE pg_catalog.starts_with(pg_catalog.lower(kept.name), pg_catalog.lower($1))
      OR pg_catalog.starts_with(pg_catalog.lower(kept.email), pg_catalog.lower($1))
      OR pg_catalog.starts_with(found.user_id, $1)
  END
ORDER BY found.user_id
LIMIT $3;
