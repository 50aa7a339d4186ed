-- Lets the sync through where the application switches on row-level security;
-- a policy does not switch it on, and changes nothing for anybody else.
DO $$
DECLARE
  writer oid := pg_catalog.to_regrole('neon_identity_writer');
  operator oid := pg_catalog.to_regrole('neon_identity_operator');
  owner name;
  book text;
BEGIN
  FOREACH book IN ARRAY ARRAY[
    'users_sync', 'rejections', 'connection', 'runs', 'walk', 'deliveries', 'repairs',
    'console_attempts', 'look', 'differences', 'activity'
  ] LOOP
    -- A role that was dropped and made again is another one.
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_policy
      WHERE polrelid = ('neon_identity.' || book)::regclass
        AND polname = 'neon_identity_writer'
        AND polroles = ARRAY[writer]
    );
    EXECUTE format('DROP POLICY IF EXISTS neon_identity_writer ON neon_identity.%I', book);
    EXECUTE format(
      'CREATE POLICY neon_identity_writer ON neon_identity.%I TO neon_identity_writer USING (true) WITH CHECK (true)',
      book
    );
  END LOOP;

  -- Who looks after the sync sees what there is.
  FOREACH book IN ARRAY ARRAY['users_sync', 'rejections', 'runs', 'deliveries'] LOOP
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_policy
      WHERE polrelid = ('neon_identity.' || book)::regclass
        AND polname = 'neon_identity_operator'
        AND polroles = ARRAY[operator]
    );
    EXECUTE format('DROP POLICY IF EXISTS neon_identity_operator ON neon_identity.%I', book);
    EXECUTE format(
      'CREATE POLICY neon_identity_operator ON neon_identity.%I FOR SELECT TO neon_identity_operator USING (true)',
      book
    );
  END LOOP;

  -- The owner is its own application's user at times, so of users it may see
  -- what it saw before: only ensure_user's placeholders are let in. The rest is
  -- what migrations, status and prune read and change as the owner.
  FOREACH book IN ARRAY ARRAY[
    'users_sync', 'migrations', 'connection', 'walk', 'rejections', 'runs', 'deliveries', 'repairs'
  ] LOOP
    SELECT pg_get_userbyid(relowner) INTO owner
    FROM pg_class
    WHERE oid = ('neon_identity.' || book)::regclass;
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_policy
      WHERE polrelid = ('neon_identity.' || book)::regclass
        AND polname = 'neon_identity_owner'
        AND polroles = ARRAY[pg_catalog.to_regrole(quote_ident(owner))::oid]
    );
    EXECUTE format('DROP POLICY IF EXISTS neon_identity_owner ON neon_identity.%I', book);
    EXECUTE format(
      CASE book
        WHEN 'users_sync' THEN
          'CREATE POLICY neon_identity_owner ON neon_identity.%I FOR INSERT TO %I WITH CHECK (raw_json = ''{}'')'
        ELSE 'CREATE POLICY neon_identity_owner ON neon_identity.%I TO %I USING (true) WITH CHECK (true)'
      END,
      book,
      owner
    );
  END LOOP;
END
$$;
