-- What is not as 0001_users_sync made it, one row each; none when all is well.
SELECT 'users_sync has the columns ' || columns.found
FROM (
  SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS found
  FROM pg_attribute
  WHERE attrelid = 'neon_identity.users_sync'::regclass AND attnum > 0 AND NOT attisdropped
) AS columns
WHERE columns.found IS DISTINCT FROM
  'raw_json jsonb, id text, name text, email text, created_at timestamp with time zone, '
  'updated_at timestamp with time zone, deleted_at timestamp with time zone'
UNION ALL
SELECT 'there is no ' || missing
FROM unnest(ARRAY['migrations', 'rejections', 'connection', 'runs', 'walk', 'users_sync_deleted_at_idx']) AS missing
WHERE to_regclass('neon_identity.' || missing) IS NULL
UNION ALL
SELECT 'there is no ensure_user(text)'
WHERE to_regprocedure('neon_identity.ensure_user(text)') IS NULL
UNION ALL
SELECT 'walk has no row'
WHERE NOT EXISTS (SELECT FROM neon_identity.walk);
