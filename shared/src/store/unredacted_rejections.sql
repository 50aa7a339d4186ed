-- Rejections that were not looked through yet for these places, a page at a time.
--
-- $1 text   the name of the places
-- $2 bigint the last id of the page before
-- $3 bigint how many
SELECT id, xmin::text AS token, source = 'delivery' AS delivered, body
FROM neon_identity.rejections
WHERE redacted IS DISTINCT FROM $1
  AND id > $2
ORDER BY id
LIMIT $3;
