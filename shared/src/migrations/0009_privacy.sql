-- What of a person is not kept, and for how long.

ALTER TABLE neon_identity.rejections ADD COLUMN redacted text;
COMMENT ON COLUMN neon_identity.rejections.redacted IS
  'For which list of places (redact in the secret) a run has looked through the body.';

-- The records of deliveries and runs name a person, too.
CREATE OR REPLACE FUNCTION neon_identity.erase_user(id text) RETURNS void
LANGUAGE plpgsql
-- As the owner, whoever was let in: a superuser, or whom the owner grants it to.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  -- Where the owner has row-level security forced upon itself, it sees nothing.
  forced text[] := '{}';
  book text;
  deleted timestamptz;
  known boolean;
  erased boolean;
  removed bigint;
  forgotten bigint;
BEGIN
  FOREACH book IN ARRAY ARRAY['users_sync', 'rejections', 'deliveries', 'repairs'] LOOP
    IF row_security_active('neon_identity.' || book) THEN
      EXECUTE format('ALTER TABLE neon_identity.%I NO FORCE ROW LEVEL SECURITY', book);
      forced := forced || book;
    END IF;
  END LOOP;

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
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  DELETE FROM neon_identity.deliveries AS kept WHERE kept.user_id = erase_user.id;
  GET DIAGNOSTICS removed = ROW_COUNT;
  forgotten := forgotten + removed;
  DELETE FROM neon_identity.repairs AS kept WHERE kept.user_id = erase_user.id;
  GET DIAGNOSTICS removed = ROW_COUNT;
  forgotten := forgotten + removed;
  IF NOT known AND forgotten = 0 THEN
    RAISE EXCEPTION 'there is no user with this id' USING ERRCODE = 'no_data_found';
  END IF;

  FOREACH book IN ARRAY forced LOOP
    EXECUTE format('ALTER TABLE neon_identity.%I FORCE ROW LEVEL SECURITY', book);
  END LOOP;
END
$$;

-- Erasing what was deleted long ago, for the writer, who may erase nobody by name:
-- it takes nothing but an age.
CREATE FUNCTION neon_identity.erase_older_than(days integer, OUT erased integer, OUT refused integer)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Where row-level security is forced upon the owner, this locks the whole table for
-- a moment, and those who came later wait behind it.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
  forced boolean := row_security_active('neon_identity.users_sync');
  old text;
BEGIN
  IF days IS NULL OR days < 1 THEN
    RAISE EXCEPTION 'the age is a day at least' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  erased := 0;
  refused := 0;
  IF forced THEN
    ALTER TABLE neon_identity.users_sync NO FORCE ROW LEVEL SECURITY;
  END IF;
  FOR old IN
    SELECT kept.id
    FROM neon_identity.users_sync AS kept
    -- A longer time than a calendar has.
    WHERE kept.deleted_at < clock_timestamp() - make_interval(days => least(days, 1000000))
      -- What erase_user leaves is erased.
      AND NOT (
        kept.raw_json = '{}'
        AND kept.name IS NULL
        AND kept.email IS NULL
        AND kept.created_at IS NULL
        AND kept.updated_at IS NOT NULL
      )
    ORDER BY kept.deleted_at, kept.id
    FOR NO KEY UPDATE SKIP LOCKED -- the next run takes whom somebody holds
  LOOP
    BEGIN
      PERFORM neon_identity.erase_user(old);
      erased := erased + 1;
    EXCEPTION WHEN OTHERS THEN
      -- A trigger of the application's refuses; that is no reason to keep the others.
      refused := refused + 1;
    END;
    EXIT WHEN erased >= 100 OR refused >= 1000;
  END LOOP;
  IF forced THEN
    ALTER TABLE neon_identity.users_sync FORCE ROW LEVEL SECURITY;
  END IF;
END
$$;
COMMENT ON FUNCTION neon_identity.erase_older_than(integer) IS
  'Erases users who were deleted more than so many days ago, a hundred at a time.';
REVOKE ALL ON FUNCTION neon_identity.erase_older_than(integer) FROM PUBLIC;
