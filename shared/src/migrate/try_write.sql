-- Writes what is there already, to see that this database takes writes.
UPDATE neon_identity.walk SET run_id = run_id;
