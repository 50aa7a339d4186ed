-- Begins a look for differences, and forgets what the last one found.
WITH forgotten AS (
  DELETE FROM neon_identity.differences
)
INSERT INTO neon_identity.look DEFAULT VALUES
ON CONFLICT (one) DO UPDATE SET
  begun_at = EXCLUDED.begun_at,
  looked_at = EXCLUDED.looked_at,
  ended_at = NULL,
  listed = 0,
  position = NULL,
  met = NULL,
  rejected = 0,
  nameless = 0;
