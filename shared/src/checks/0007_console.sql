-- What is not as 0007_console made it, one row each; none when all is well. An
-- owner who has no use for console may drop its indexes.
SELECT 'there is no console_attempts'
WHERE to_regclass('neon_identity.console_attempts') IS NULL;
