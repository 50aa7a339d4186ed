-- The newest migration that ran; 0: none.
SELECT coalesce(pg_catalog.max(version), 0) FROM neon_identity.migrations;
