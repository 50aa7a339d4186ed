-- Keeps the lease; no row: another run has taken it.
--
-- $1 bigint run
-- $2 float8 the lease's length in seconds
UPDATE neon_identity.walk
SET lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $2)
WHERE run_id = $1
RETURNING pg_catalog.clock_timestamp() AS now;
