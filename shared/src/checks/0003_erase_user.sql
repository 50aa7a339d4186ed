-- What is not as 0003_erase_user made it, one row each; none when all is well.
SELECT 'there is no erase_user(text)'
WHERE to_regprocedure('neon_identity.erase_user(text)') IS NULL;
