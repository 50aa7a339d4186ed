-- Rows whose profiles hold something at one of these places, in order, a page at
-- a time.
--
-- $1 text[] the places, each a list of keys as an array is written
-- $2 text   the last id of the page before; NULL: from the start
-- $3 bigint how many
WITH places AS MATERIALIZED (
  SELECT place::text[] AS keys FROM pg_catalog.unnest($1::text[]) AS place
)
SELECT kept.id, kept.xmin::text AS token, kept.raw_json::text
FROM neon_identity.users_sync AS kept
WHERE ($2::text IS NULL OR kept.id > $2)
  -- Of an array's item that was taken out, null is left.
  AND EXISTS (SELECT FROM places WHERE kept.raw_json #> places.keys <> 'null')
ORDER BY kept.id
LIMIT $3;
