-- What is not as 0002_event_cursor made it, one row each; none when all is well.
SELECT 'walk has no column event_cursor of type text'
WHERE NOT EXISTS (
  SELECT FROM pg_attribute
  WHERE attrelid = 'neon_identity.walk'::regclass
    AND attname = 'event_cursor'
    AND atttypid = 'text'::regtype
    AND NOT attisdropped
);
