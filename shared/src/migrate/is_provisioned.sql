-- Whether the first migration ran.
SELECT pg_catalog.to_regclass('neon_identity.migrations') IS NOT NULL;
