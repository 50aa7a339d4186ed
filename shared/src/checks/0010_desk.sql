-- What is not as 0010_desk made it, one row each; none when all is well.
SELECT 'there is no ' || book
FROM unnest(ARRAY['look', 'differences', 'activity']) AS book
WHERE to_regclass('neon_identity.' || book) IS NULL;
