-- The row's profile and its time, if the row is as it was at the look.
--
-- $1 text id
-- $2 text token of the look
SELECT raw_json::text, updated_at
FROM neon_identity.users_sync
WHERE id = $1 AND xmin::text = $2;
