-- Whether anything of this name stands in the schema, of whatever kind.
SELECT pg_catalog.to_regclass('neon_identity.users_sync') IS NOT NULL;
