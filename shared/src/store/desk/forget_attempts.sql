-- Forgets the attempts to sign in from a source.
--
-- $1 text source
DELETE FROM neon_identity.console_attempts WHERE source = $1;
