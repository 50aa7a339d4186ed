-- Counts an attempt to sign in from a source, and says how many there were since
-- the first of them, and how many seconds are left until they are forgotten.
-- Attempts of others that are long past are removed, a few at a time.
--
-- $1 text   source
-- $2 float8 seconds after the first attempt at which they are forgotten
WITH past AS (
  DELETE FROM neon_identity.console_attempts
  WHERE source IN (
    SELECT source FROM neon_identity.console_attempts
    WHERE source <> $1 AND since < pg_catalog.clock_timestamp() - interval '1 day'
    LIMIT 50
    FOR UPDATE SKIP LOCKED
  )
)
INSERT INTO neon_identity.console_attempts AS kept (source) VALUES ($1)
ON CONFLICT (source) DO UPDATE SET
  since = CASE
    WHEN kept.since < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2)
      THEN pg_catalog.clock_timestamp()
    ELSE kept.since
  END,
  count = CASE
    WHEN kept.since < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2) THEN 1
    ELSE least(kept.count + 1, 1000000)
  END
RETURNING
  count,
  extract(
    epoch FROM since + pg_catalog.make_interval(secs => $2) - pg_catalog.clock_timestamp()
  )::float8;
