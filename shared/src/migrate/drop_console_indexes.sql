-- Drops the indexes that only console has a use for: each new row has to be put into
-- all of them. The wait for the table is as short as in make_console_indexes.sql.
SET LOCAL lock_timeout = '2s';

DROP INDEX IF EXISTS
  neon_identity.users_sync_console_name_idx,
  neon_identity.users_sync_console_email_idx,
  neon_identity.users_sync_console_id_idx,
  neon_identity.users_sync_console_deleted_idx,
  neon_identity.users_sync_console_undated_idx;
