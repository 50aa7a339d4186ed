-- What is not as 0008_records made it, one row each; none when all is well.
SELECT format('%s has no column %s of type %s', wanted.book, wanted.name, wanted.type)
FROM (VALUES
  ('deliveries', 'id', 'int8'),
  ('deliveries', 'received_at', 'timestamptz'),
  ('deliveries', 'event_id', 'text'),
  ('deliveries', 'event', 'text'),
  ('deliveries', 'user_id', 'text'),
  ('deliveries', 'outcome', 'text'),
  ('deliveries', 'lag_ms', 'int8'),
  ('repairs', 'id', 'int8'),
  ('repairs', 'run_id', 'int8'),
  ('repairs', 'at', 'timestamptz'),
  ('repairs', 'user_id', 'text'),
  ('repairs', 'change', 'text'),
  ('repairs', 'missed', 'bool'),
  ('runs', 'missed', 'int8'),
  ('walk', 'completed_at', 'timestamptz'),
  ('walk', 'held', 'int8'),
  ('status', 'missed_24h', 'int8')
) AS wanted (book, name, type)
WHERE NOT EXISTS (
  SELECT FROM pg_attribute
  WHERE attrelid = to_regclass('neon_identity.' || wanted.book)
    AND attname = wanted.name
    AND atttypid = wanted.type::regtype
    AND NOT attisdropped
)
UNION ALL
SELECT missing || ' is missing'
FROM unnest(ARRAY[
  'deliveries_received_at_idx', 'deliveries_user_idx', 'repairs_at_idx', 'repairs_run_idx',
  'repairs_user_idx', 'repairs_open_idx'
]) AS missing
WHERE to_regclass('neon_identity.' || missing) IS NULL
UNION ALL
SELECT 'prune is missing'
WHERE to_regprocedure('neon_identity.prune(integer)') IS NULL;
