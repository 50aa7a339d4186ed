-- Drops the indexes that only console has a use for: each new row would be put into
-- all of them.
SET LOCAL lock_timeout = '2s';

DROP INDEX IF EXISTS
  neon_identity.users_sync_console_name_idx,
  neon_identity.users_sync_console_email_idx,
  neon_identity.users_sync_console_id_idx,
  neon_identity.users_sync_console_deleted_idx,
  neon_identity.users_sync_console_undated_idx;
