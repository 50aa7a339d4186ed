-- What is not as 0005_walk_in_parts made it, one row each; none when all is well.
SELECT format('walk has no column %s of type %s', wanted.name, wanted.type)
FROM (VALUES
  ('saved_at', 'timestamptz'),
  ('rejected', 'int8'),
  ('nameless', 'int8'),
  ('unlisted', 'text[]')
) AS wanted (name, type)
WHERE NOT EXISTS (
  SELECT FROM pg_attribute
  WHERE attrelid = 'neon_identity.walk'::regclass
    AND attname = wanted.name
    AND atttypid = wanted.type::regtype
    AND NOT attisdropped
)
UNION ALL
SELECT 'rejections_open_idx is missing'
WHERE to_regclass('neon_identity.rejections_open_idx') IS NULL;
