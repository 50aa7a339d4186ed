-- What is not as 0001_users_sync made it, one row each; none when all is well.
-- Columns that the application has added are its own.
SELECT CASE
  WHEN found.type IS NULL THEN 'users_sync has no column ' || needed.name
  WHEN found.type <> needed.type
    THEN 'users_sync has ' || needed.name || ' as ' || found.type || ', and not as ' || needed.type
  ELSE 'users_sync lets ' || needed.name || ' be NULL'
END
FROM (
  VALUES
    ('raw_json', 'jsonb', true),
    ('id', 'text', true),
    ('name', 'text', false),
    ('email', 'text', false),
    ('created_at', 'timestamp with time zone', false),
    ('updated_at', 'timestamp with time zone', false),
    ('deleted_at', 'timestamp with time zone', false)
) AS needed (name, type, required)
LEFT JOIN (
  SELECT attname::text AS name, btrim(format_type(atttypid, atttypmod), '"') AS type, attnotnull AS required
  FROM pg_attribute
  WHERE attrelid = 'neon_identity.users_sync'::regclass AND attnum > 0 AND NOT attisdropped
) AS found USING (name)
WHERE found.type IS DISTINCT FROM needed.type OR needed.required AND NOT found.required
UNION ALL
SELECT 'id is not the primary key of users_sync'
WHERE NOT EXISTS (
  SELECT
  FROM pg_index
  JOIN pg_attribute ON attrelid = indrelid AND attname = 'id'
  WHERE indrelid = 'neon_identity.users_sync'::regclass
    AND indisprimary
    AND indkey::text = attnum::text
)
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
