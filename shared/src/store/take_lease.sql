-- Takes the lease unless another run holds it; closes the run that died with it,
-- and those that died before they had it.
--
-- $1 bigint  run
-- $2 float8  the lease's length in seconds
-- $3 boolean whether to begin anew, whatever an earlier walk left
WITH free AS (
  SELECT
    run_id,
    -- An older place would still do no harm: a user that the walk has met is not
    -- swept, and one that has changed since is seen by the next walk. But a run
    -- that ended such a walk would call complete what nothing has looked at for a
    -- week.
    position IS NULL
      OR coalesce(saved_at < pg_catalog.clock_timestamp() - interval '7 days', false) AS anew
  FROM neon_identity.walk
  WHERE lease_until IS NULL OR lease_until < pg_catalog.clock_timestamp()
    OR run_id = $1 -- taken before, and the answer was lost
  FOR UPDATE
),
died AS (
  UPDATE neon_identity.runs AS run SET
    finished_at = pg_catalog.clock_timestamp(),
    outcome = 'failed',
    error = 'the function was stopped before it could finish'
  FROM free
  WHERE run.id <> $1
    AND run.finished_at IS NULL
    -- No function runs for longer than 15 minutes.
    AND (run.id = free.run_id OR run.started_at < pg_catalog.clock_timestamp() - interval '1 hour')
)
UPDATE neon_identity.walk SET
  run_id = $1,
  lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $2),
  -- A walk that goes on later keeps its beginning, even if a dry run comes between.
  begun_at = CASE WHEN free.anew THEN pg_catalog.clock_timestamp() ELSE walk.begun_at END,
  position = CASE WHEN NOT free.anew THEN walk.position END,
  met = CASE WHEN NOT free.anew THEN walk.met END,
  rejected = CASE WHEN free.anew THEN 0 ELSE walk.rejected END,
  nameless = CASE WHEN free.anew THEN 0 ELSE walk.nameless END
FROM free
RETURNING
  pg_catalog.clock_timestamp() AS now,
  CASE WHEN $3 THEN NULL ELSE walk.position END AS position,
  CASE WHEN $3 THEN NULL ELSE walk.met END AS met,
  CASE WHEN $3 THEN 0 ELSE walk.rejected END AS rejected,
  CASE WHEN $3 THEN 0 ELSE walk.nameless END AS nameless,
  walk.unlisted,
  walk.completed_at IS NOT NULL AS everybody_was_seen;
