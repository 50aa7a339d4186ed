-- Whether the first migration ran.
SELECT to_regclass('neon_identity.migrations') IS NOT NULL;
