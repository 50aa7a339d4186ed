-- Makes the table that Neon made one that the sync can write: what was generated
-- becomes a column like any other, with the values that it has.
--
-- Another expression than Neon's is dropped as well, as long as it read nothing
-- but raw_json: it was a reading of the profile, and the first run writes ours.
ALTER TABLE neon_identity.users_sync
  ALTER COLUMN id DROP EXPRESSION IF EXISTS,
  ALTER COLUMN name DROP EXPRESSION IF EXISTS,
  ALTER COLUMN email DROP EXPRESSION IF EXISTS,
  ALTER COLUMN created_at DROP EXPRESSION IF EXISTS,
  ALTER COLUMN raw_json SET NOT NULL;

DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_index WHERE indrelid = 'neon_identity.users_sync'::regclass AND indisprimary
  ) THEN
    ALTER TABLE neon_identity.users_sync ADD PRIMARY KEY (id);
  END IF;
END
$$;
