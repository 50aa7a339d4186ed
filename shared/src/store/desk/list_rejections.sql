-- Rejections, the newest first, or one of them.
--
-- $1 boolean whether those alone that nobody has seen to
-- $2 bigint  the last of the page before; NULL: the first page
-- $3 bigint  how many
-- $4 integer how many bytes of what was sent
-- $5 bigint  the one that is asked for; NULL: any
SELECT
  id,
  rejected_at,
  source,
  event_id,
  pg_catalog.left(reason, 2000) AS reason,
  user_id,
  resolved_at,
  pg_catalog.substr(body, 1, $4) AS body,
  pg_catalog.octet_length(body)::bigint AS length
FROM neon_identity.rejections
WHERE (NOT $1 OR resolved_at IS NULL)
  AND ($2 IS NULL OR id < $2)
  AND ($5 IS NULL OR id = $5)
ORDER BY id DESC
LIMIT $3;
