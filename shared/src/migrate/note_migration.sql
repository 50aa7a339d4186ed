-- $1 integer version
-- $2 text    name
INSERT INTO neon_identity.migrations (version, name) VALUES ($1, $2);
