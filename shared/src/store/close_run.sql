-- Ends a run's row, gives the lease back, and keeps the place where the walk is to
-- go on. Counts the users of earlier runs about whom a webhook should have come, and
-- none did.
--
-- Gives back the outcome that the row has (if another run took the lease because
-- this one seemed dead, it has called this one failed, and that stands), how many
-- users were missed, whether no webhook at all has come since the first of them, and
-- how many rejections are open.
--
-- $1  bigint  run
-- $2  text    outcome
-- $3  text    error, for the operator
-- $4  text    figures: a JSON object, each by the name of its column
-- $5  text    position of a walk that goes on; NULL: the next walk begins anew
-- $6  bytea   hashes of the users that this walk has met
-- $7  boolean whether the walk's place is as it was (a dry run, a busy one)
-- $8  bigint  how many users that walk has rejected
-- $9  bigint  how many of them had no id
-- $10 text[]  fields in which listing and reads differ; NULL: as it was
-- $11 boolean whether deliveries are recorded, so that it can be judged
WITH clock AS MATERIALIZED (
  SELECT pg_catalog.clock_timestamp() AS now
),
figures AS (
  SELECT * FROM pg_catalog.jsonb_populate_record(NULL::neon_identity.runs, $4::jsonb)
),
released AS (
  UPDATE neon_identity.walk SET
    run_id = NULL,
    lease_until = NULL,
    position = CASE WHEN $7 THEN walk.position ELSE $5 END,
    met = CASE WHEN $7 THEN walk.met ELSE $6 END,
    saved_at = CASE
      WHEN $7 THEN walk.saved_at
      -- A place that stays where it is grows older.
      WHEN $5 = walk.position THEN coalesce(walk.saved_at, pg_catalog.clock_timestamp())
      WHEN $5 IS NOT NULL THEN pg_catalog.clock_timestamp()
    END,
    rejected = CASE WHEN $7 THEN walk.rejected ELSE $8 END,
    nameless = CASE WHEN $7 THEN walk.nameless ELSE $9 END,
    unlisted = coalesce($10, walk.unlisted),
    -- A run that drains the record of events doesn't see everybody.
    completed_at = CASE WHEN NOT $7 AND $2 = 'complete' THEN clock.now ELSE walk.completed_at END,
    held = CASE WHEN NOT $7 AND $2 IN ('complete', 'held') THEN figures.held ELSE walk.held END
  FROM clock, figures
  WHERE run_id = $1
  RETURNING walk.run_id
),
judged AS (
  UPDATE neon_identity.repairs AS repair SET
    missed = NOT EXISTS (
      SELECT FROM neon_identity.deliveries AS delivery
      WHERE delivery.user_id = repair.user_id AND delivery.received_at >= repair.at
    )
  FROM clock
  WHERE $11
    AND repair.missed IS NULL
    AND repair.change IN ('created', 'tombstoned')
    -- A webhook may be on its way.
    AND repair.at < clock.now - interval '10 minutes'
    AND EXISTS (SELECT FROM released)
    AND EXISTS (SELECT FROM neon_identity.runs WHERE id = $1 AND NOT dry_run)
  RETURNING repair.user_id, repair.missed, repair.at
),
missed AS (
  SELECT pg_catalog.count(DISTINCT user_id) AS count, pg_catalog.min(at) AS since FROM judged WHERE missed
)
UPDATE neon_identity.runs AS run SET
  finished_at = coalesce(run.finished_at, clock.now),
  outcome = CASE WHEN run.finished_at IS NULL THEN $2 ELSE run.outcome END,
  error = CASE WHEN run.finished_at IS NULL THEN $3 ELSE run.error END,
  listed = figures.listed,
  created = figures.created,
  updated = figures.updated,
  unchanged = figures.unchanged,
  deleted = figures.deleted,
  revived = figures.revived,
  rejected = figures.rejected,
  held = figures.held,
  -- Were the answer lost, the statement would be sent again and judge nothing.
  missed = coalesce(run.missed, 0) + missed.count,
  pages = figures.pages,
  duration_ms = figures.duration_ms
FROM clock, figures, missed
WHERE run.id = $1
RETURNING
  run.outcome,
  run.missed,
  NOT EXISTS (
    SELECT FROM neon_identity.deliveries WHERE received_at >= missed.since
  ) AS none_arrives,
  (SELECT pg_catalog.count(*) FROM neon_identity.rejections WHERE resolved_at IS NULL)
    AS open_rejections;
