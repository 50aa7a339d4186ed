-- What webhook, reconcile and console need, and no more: of users and of the sync's
-- books nothing is ever deleted or erased but by the owner's functions, which take an
-- age.
GRANT USAGE ON SCHEMA neon_identity TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.users_sync TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.rejections TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.runs TO neon_identity_writer;
GRANT SELECT, UPDATE ON neon_identity.walk TO neon_identity_writer;
GRANT SELECT ON neon_identity.connection TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON neon_identity.console_attempts TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.look TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON neon_identity.differences TO neon_identity_writer;
GRANT SELECT, INSERT, DELETE ON neon_identity.activity TO neon_identity_writer;
GRANT SELECT, INSERT ON neon_identity.deliveries TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.repairs TO neon_identity_writer;
GRANT EXECUTE ON FUNCTION neon_identity.prune(integer) TO neon_identity_writer;
GRANT EXECUTE ON FUNCTION neon_identity.erase_older_than(integer) TO neon_identity_writer;

-- What an application needs.
GRANT USAGE ON SCHEMA neon_identity TO neon_identity_reader;
GRANT SELECT, REFERENCES ON neon_identity.users_sync TO neon_identity_reader;
GRANT EXECUTE ON FUNCTION neon_identity.ensure_user(text) TO neon_identity_reader;

-- What a person needs who looks after the sync.
GRANT USAGE ON SCHEMA neon_identity TO neon_identity_operator;
GRANT SELECT ON
  neon_identity.status,
  neon_identity.runs,
  neon_identity.deliveries,
  neon_identity.rejections,
  neon_identity.users_sync
TO neon_identity_operator;
