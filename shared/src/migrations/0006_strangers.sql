-- What applications and their tools do to the schema, and it did not bear.

-- A publication of all tables (Debezium, PowerSync) lets no row be changed in a
-- table without a key.
ALTER TABLE neon_identity.connection ADD PRIMARY KEY (provider, project);
ALTER TABLE neon_identity.connection REPLICA IDENTITY DEFAULT;
ALTER TABLE neon_identity.walk ADD COLUMN one boolean NOT NULL DEFAULT true CHECK (one);
ALTER TABLE neon_identity.walk ADD PRIMARY KEY (one);
ALTER TABLE neon_identity.walk REPLICA IDENTITY DEFAULT;
COMMENT ON COLUMN neon_identity.walk.one IS 'The key of the one row that there is.';

-- A row that is there is not held against the table's rules as a row without a
-- profile would be.
CREATE OR REPLACE FUNCTION neon_identity.ensure_user(id text) RETURNS text
LANGUAGE plpgsql
-- The caller needs no right to write the table.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  known boolean := false;
BEGIN
  -- As in the crate's UserId: an empty or endless id is nobody's.
  IF octet_length(ensure_user.id) NOT BETWEEN 1 AND 1024 OR ensure_user.id IS NULL THEN
    RAISE EXCEPTION 'a user''s id has 1 to 1024 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Where the owner has row-level security forced upon itself, it may not look.
  IF NOT row_security_active('neon_identity.users_sync') THEN
    known := EXISTS (SELECT FROM neon_identity.users_sync AS kept WHERE kept.id = ensure_user.id);
  END IF;
  IF NOT known THEN
    INSERT INTO neon_identity.users_sync (raw_json, id)
    VALUES ('{}', ensure_user.id)
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN ensure_user.id;
END
$$;

-- Columns of the application may have any name, and a trigger of its may put
-- back what is erased: then the owner has to know.
CREATE OR REPLACE FUNCTION neon_identity.erase_user(id text) RETURNS void
LANGUAGE plpgsql
-- As the owner, whoever was let in: a superuser, or whom the owner grants it to.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  -- Where the owner has row-level security forced upon itself, it sees nothing.
  forced boolean := row_security_active('neon_identity.users_sync');
  forced_too boolean := row_security_active('neon_identity.rejections');
  deleted timestamptz;
  known boolean;
  erased boolean;
BEGIN
  IF forced THEN
    ALTER TABLE neon_identity.users_sync NO FORCE ROW LEVEL SECURITY;
  END IF;
  IF forced_too THEN
    ALTER TABLE neon_identity.rejections NO FORCE ROW LEVEL SECURITY;
  END IF;

  SELECT kept.deleted_at INTO deleted
  FROM neon_identity.users_sync AS kept
  WHERE kept.id = erase_user.id
  FOR NO KEY UPDATE;
  known := FOUND;
  IF known THEN
    IF deleted IS NULL THEN
      RAISE EXCEPTION 'this user is not deleted'
        USING ERRCODE = 'object_not_in_prerequisite_state',
          HINT = 'Delete the user at the provider first, and see that deleted_at is set here.';
    END IF;
    IF NOT isfinite(deleted) THEN
      deleted := clock_timestamp();
    END IF;
    -- A tombstone with a version and no profile is what nothing fills again.
    UPDATE neon_identity.users_sync AS kept SET
      raw_json = '{}',
      name = NULL,
      email = NULL,
      created_at = NULL,
      updated_at = deleted,
      deleted_at = deleted
    WHERE kept.id = erase_user.id
    RETURNING kept.raw_json = '{}'
      AND kept.name IS NULL
      AND kept.email IS NULL
      AND kept.created_at IS NULL
      AND kept.updated_at = deleted
      AND kept.deleted_at = deleted
    INTO erased;
    IF erased IS NOT TRUE THEN
      RAISE EXCEPTION 'the row stays as it is, or in part: a trigger or a rule of the table keeps it'
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  END IF;

  DELETE FROM neon_identity.rejections AS kept
  WHERE kept.user_id = erase_user.id
    -- Whose it is could not be read, but it names the user.
    OR kept.user_id IS NULL
      AND position(convert_to(to_jsonb(erase_user.id)::text, 'UTF8') IN kept.body) > 0;
  IF NOT known AND NOT FOUND THEN
    RAISE EXCEPTION 'there is no user with this id' USING ERRCODE = 'no_data_found';
  END IF;

  IF forced THEN
    ALTER TABLE neon_identity.users_sync FORCE ROW LEVEL SECURITY;
  END IF;
  IF forced_too THEN
    ALTER TABLE neon_identity.rejections FORCE ROW LEVEL SECURITY;
  END IF;
END
$$;
