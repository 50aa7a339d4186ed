-- Which provider's project the schema is bound to; no row: to none yet.
SELECT provider, project FROM neon_identity.connection;
