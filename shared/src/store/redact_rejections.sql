-- Notes that rejections were looked through, and takes what is not to be kept out
-- of those that have it, unless one has changed since it was read.
--
-- $1 bigint[] id
-- $2 text[]   token of the row that was read
-- $3 bytea[]  body; NULL: it stays
-- $4 text     the name of the places
-- $5 text     provider
-- $6 text[]   project, by all its names
UPDATE neon_identity.rejections AS kept SET
  body = coalesce(new.body, kept.body),
  redacted = $4
FROM ROWS FROM (
  pg_catalog.unnest($1::bigint[]),
  pg_catalog.unnest($2::text[]),
  pg_catalog.unnest($3::bytea[])
) AS new (id, token, body)
WHERE kept.id = new.id
  AND kept.xmin::text = new.token
  AND EXISTS (SELECT FROM neon_identity.connection WHERE provider = $5 AND project = ANY ($6));
