-- The provider and the project that the schema is bound to; no row: none yet.
SELECT provider, project FROM neon_identity.connection;
