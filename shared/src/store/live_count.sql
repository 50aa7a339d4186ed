-- How many users are shown as living.
SELECT count(*) FROM neon_identity.users_sync WHERE deleted_at IS NULL;
