-- Makes the indexes by which console finds users and goes through them.
--
-- Writers wait while an index is made. The wait for the table itself is short, because
-- whoever needs the table next would wait as well.
SET LOCAL lock_timeout = '2s';

-- A key of a B-tree has 2704 bytes at most, and a name may have more.
CREATE INDEX IF NOT EXISTS users_sync_console_name_idx ON neon_identity.users_sync
  ((left(lower(name), 64) COLLATE "C"), (id COLLATE "C"));
CREATE INDEX IF NOT EXISTS users_sync_console_email_idx ON neon_identity.users_sync
  ((left(lower(email), 64) COLLATE "C"), (id COLLATE "C"));
CREATE INDEX IF NOT EXISTS users_sync_console_id_idx ON neon_identity.users_sync
  ((id COLLATE "C"));
CREATE INDEX IF NOT EXISTS users_sync_console_deleted_idx ON neon_identity.users_sync
  ((id COLLATE "C")) WHERE deleted_at IS NOT NULL;
-- Placeholders are among these. Their own mark, updated_at, may be in no index:
-- then no change of a row could stay in its page.
CREATE INDEX IF NOT EXISTS users_sync_console_undated_idx ON neon_identity.users_sync
  ((id COLLATE "C")) WHERE created_at IS NULL;
