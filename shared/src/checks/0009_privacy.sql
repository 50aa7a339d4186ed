-- What is not as 0009_privacy made it, one row each; none when all is well.
SELECT 'rejections has no column redacted of type text'
WHERE NOT EXISTS (
  SELECT FROM pg_attribute
  WHERE attrelid = 'neon_identity.rejections'::regclass
    AND attname = 'redacted'
    AND atttypid = 'text'::regtype
    AND NOT attisdropped
)
UNION ALL
SELECT 'there is no erase_older_than(integer)'
WHERE to_regprocedure('neon_identity.erase_older_than(integer)') IS NULL
UNION ALL
SELECT 'erase_user(text) is not as 0009_privacy made it'
WHERE NOT EXISTS (
  SELECT FROM pg_proc
  WHERE oid = to_regprocedure('neon_identity.erase_user(text)') AND prosrc LIKE '%forgotten%'
);
