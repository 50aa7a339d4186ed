-- How many of console's indexes there are. To make one that is there already would
-- wait for whoever writes.
SELECT pg_catalog.count(*)
FROM pg_catalog.pg_index
JOIN pg_catalog.pg_class AS index ON index.oid = pg_index.indexrelid
WHERE pg_index.indrelid = 'neon_identity.users_sync'::pg_catalog.regclass
  AND index.relname = ANY (ARRAY[
    'users_sync_console_name_idx',
    'users_sync_console_email_idx',
    'users_sync_console_id_idx',
    'users_sync_console_deleted_idx',
    'users_sync_console_undated_idx'
  ]);
