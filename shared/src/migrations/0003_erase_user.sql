-- Erasing a person for good, in place of the UPDATE that was documented before,
-- which left endless times.

CREATE FUNCTION neon_identity.erase_user(id text) RETURNS void
LANGUAGE plpgsql
-- As the owner, whoever was let in: a superuser, or whom the owner grants it to.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Where the owner has row-level security forced upon itself, it sees nothing.
  forced boolean := row_security_active('neon_identity.users_sync');
  forced_too boolean := row_security_active('neon_identity.rejections');
  deleted timestamptz;
  known boolean;
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
    WHERE kept.id = erase_user.id;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the row stays as it is: a trigger or a rule of the table keeps it'
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
COMMENT ON FUNCTION neon_identity.erase_user(text) IS
  'Removes all that is kept of a deleted user''s person, and keeps the tombstone.';
REVOKE ALL ON FUNCTION neon_identity.erase_user(text) FROM PUBLIC;

-- Rows of the UPDATE of before, and whatever else has a time without an end.
DO $$
DECLARE
  forced boolean := row_security_active('neon_identity.users_sync');
  endless text;
BEGIN
  IF forced THEN
    ALTER TABLE neon_identity.users_sync NO FORCE ROW LEVEL SECURITY;
  END IF;
  FOR endless IN
    SELECT kept.id
    FROM neon_identity.users_sync AS kept
    WHERE NOT isfinite(kept.created_at)
      OR NOT isfinite(kept.updated_at)
      OR NOT isfinite(kept.deleted_at)
  LOOP
    BEGIN
      UPDATE neon_identity.users_sync AS kept SET
        created_at = CASE WHEN isfinite(kept.created_at) THEN kept.created_at END,
        updated_at = CASE
          WHEN NOT isfinite(kept.updated_at) AND isfinite(kept.deleted_at) THEN kept.deleted_at
          WHEN NOT isfinite(kept.updated_at) THEN transaction_timestamp()
          ELSE kept.updated_at
        END,
        deleted_at = CASE
          WHEN NOT isfinite(kept.deleted_at)
            THEN greatest(transaction_timestamp(), CASE WHEN isfinite(kept.updated_at) THEN kept.updated_at END)
          ELSE kept.deleted_at
        END
      WHERE kept.id = endless;
    EXCEPTION WHEN OTHERS THEN
      -- A trigger of the application's refuses; that is no reason not to deploy.
      RAISE WARNING 'a row of users_sync keeps a time without an end (SQLSTATE %)', SQLSTATE;
    END;
  END LOOP;
  IF forced THEN
    ALTER TABLE neon_identity.users_sync FORCE ROW LEVEL SECURITY;
  END IF;
END
$$;
