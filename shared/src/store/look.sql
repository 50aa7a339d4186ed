-- The rows as they are now. If a row still has the same token after a read that
-- was sent later, that read is newer than everything the row knows.
--
-- $1 text[] id
SELECT
  pg_catalog.clock_timestamp() AS now,
  asked.id,
  kept.xmin::text AS token, -- changes with every write; NULL: no such row
  kept.deleted_at IS NOT NULL AS deleted
FROM pg_catalog.unnest($1::text[]) AS asked (id)
LEFT JOIN neon_identity.users_sync AS kept USING (id);
