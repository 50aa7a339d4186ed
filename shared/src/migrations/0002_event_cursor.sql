-- Where reconcile's events mode goes on. Only such a run moves it, and never a
-- webhook: an event that became visible later would be skipped.
ALTER TABLE neon_identity.walk ADD COLUMN event_cursor text;
COMMENT ON COLUMN neon_identity.walk.event_cursor IS
  'The last event of the provider''s record that was applied; NULL: none yet.';
