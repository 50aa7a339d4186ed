-- What a walk over several runs has to know beside its place, and what one run
-- has learnt for the next.
ALTER TABLE neon_identity.walk
  ADD COLUMN saved_at timestamptz,
  ADD COLUMN rejected bigint NOT NULL DEFAULT 0,
  ADD COLUMN nameless bigint NOT NULL DEFAULT 0,
  ADD COLUMN unlisted text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN neon_identity.walk.saved_at IS
  'When a run left the walk at its place; NULL: the next one begins anew.';
COMMENT ON COLUMN neon_identity.walk.rejected IS
  'How many users the walk has rejected so far.';
COMMENT ON COLUMN neon_identity.walk.nameless IS
  'How many of them had no id that could be read.';
COMMENT ON COLUMN neon_identity.walk.unlisted IS
  'Fields of the profile in which the listing was seen to differ from reads.';

-- One user has one open rejection.
CREATE INDEX rejections_open_idx ON neon_identity.rejections (user_id)
  WHERE resolved_at IS NULL;
