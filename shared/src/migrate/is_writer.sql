-- Whether a user has the writer's rights already.
--
-- $1 text user
SELECT EXISTS (
  SELECT
  FROM pg_catalog.pg_roles AS login, pg_catalog.pg_roles AS writer
  WHERE login.rolname = $1
    AND writer.rolname = 'neon_identity_writer'
    AND pg_catalog.pg_has_role(login.oid, writer.oid, 'USAGE')
);
