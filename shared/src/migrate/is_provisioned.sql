-- Whether the first migration ran.
--
-- From a table, though any would do: a session looks for what others have
-- committed when it locks one, and not when it has waited for the schema's lock.
-- Without that it could go on believing that there is no such schema.
SELECT pg_catalog.to_regclass('neon_identity.migrations') IS NOT NULL
FROM pg_catalog.pg_class
LIMIT 1;
