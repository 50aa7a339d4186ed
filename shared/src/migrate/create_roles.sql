-- The three roles, without login; they may be there from an earlier time.
DO $$
BEGIN
  IF pg_catalog.to_regrole('neon_identity_writer') IS NULL THEN
    CREATE ROLE neon_identity_writer NOLOGIN;
  END IF;
  IF pg_catalog.to_regrole('neon_identity_reader') IS NULL THEN
    CREATE ROLE neon_identity_reader NOLOGIN;
  END IF;
  IF pg_catalog.to_regrole('neon_identity_operator') IS NULL THEN
    CREATE ROLE neon_identity_operator NOLOGIN;
  END IF;
END
$$;
