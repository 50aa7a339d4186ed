-- Runs, the newest first.
--
-- $1 bigint the last run of the page before; NULL: the first page
-- $2 bigint how many
SELECT
  id, started_at, finished_at, outcome, dry_run,
  listed, created, updated, unchanged, deleted, revived, rejected, held,
  duration_ms, error
FROM neon_identity.runs
WHERE $1 IS NULL OR id < $1
ORDER BY id DESC
LIMIT $2;
