-- What webhook, reconcile and console need, and no more: of users and of the sync's
-- books nothing is ever deleted.
GRANT USAGE ON SCHEMA neon_identity TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.users_sync TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.rejections TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE ON neon_identity.runs TO neon_identity_writer;
GRANT SELECT, UPDATE ON neon_identity.walk TO neon_identity_writer;
GRANT SELECT ON neon_identity.connection TO neon_identity_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON neon_identity.console_attempts TO neon_identity_writer;

-- What an application needs.
GRANT USAGE ON SCHEMA neon_identity TO neon_identity_reader;
GRANT SELECT, REFERENCES ON neon_identity.users_sync TO neon_identity_reader;
GRANT EXECUTE ON FUNCTION neon_identity.ensure_user(text) TO neon_identity_reader;
