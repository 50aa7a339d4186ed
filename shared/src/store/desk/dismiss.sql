-- Marks a rejection as seen to, if it is open.
--
-- $1 bigint id
UPDATE neon_identity.rejections SET resolved_at = pg_catalog.clock_timestamp()
WHERE id = $1 AND resolved_at IS NULL
RETURNING id;
