-- A user's profile, byte for byte as the row has it.
--
-- $1 text id
SELECT raw_json::text FROM neon_identity.users_sync WHERE id = $1;
