-- How many users are shown as living. Placeholders don't count: the application
-- that made them may have named ids that the provider never had.
SELECT pg_catalog.count(*) FROM neon_identity.users_sync
WHERE deleted_at IS NULL AND updated_at IS NOT NULL;
