-- Ids of the users that are not deleted, of a part of the table.
--
-- A part is a range of blocks, because rows lie there beside each other: in the order
-- of their ids, nearly each would be in another block than the one before. A row that
-- is written meanwhile can move to a part that was read before; then the next run
-- finds it.
--
-- An array, because a row for each of them would cost more than all else here.
--
-- $1 text the place where the part begins, (block,0)
-- $2 text the place where it ends, which is not in it
SELECT
  pg_catalog.array_agg(id) FILTER (WHERE updated_at IS NOT NULL) AS living,
  -- An application has named these, and no profile has arrived.
  pg_catalog.array_agg(id) FILTER (WHERE updated_at IS NULL) AS placeholders,
  pg_catalog.pg_relation_size('neon_identity.users_sync'::pg_catalog.regclass)
    / pg_catalog.current_setting('block_size')::bigint AS blocks
FROM neon_identity.users_sync
WHERE ctid >= $1::text::pg_catalog.tid
  AND ctid < $2::text::pg_catalog.tid
  AND deleted_at IS NULL;
