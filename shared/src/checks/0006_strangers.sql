-- What is not as 0006_strangers made it, one row each; none when all is well.
SELECT book || ' has no primary key'
FROM unnest(ARRAY['connection', 'walk']) AS book
WHERE NOT EXISTS (
  SELECT FROM pg_index
  WHERE indrelid = to_regclass('neon_identity.' || book) AND indisprimary
)
UNION ALL
SELECT wanted.name || ' is not as 0006_strangers made it'
FROM (
  VALUES ('ensure_user(text)', '%known := EXISTS%'), ('erase_user(text)', '%use_variable%')
) AS wanted (name, source)
WHERE NOT EXISTS (
  SELECT FROM pg_proc
  WHERE oid = to_regprocedure('neon_identity.' || wanted.name) AND prosrc LIKE wanted.source
);
