-- Ends a run's row, gives the lease back, and keeps the place where the walk is to
-- go on. Gives back the outcome that the row has: if another run took the lease
-- because this one seemed dead, it has called this one failed, and that stands.
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
WITH released AS (
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
    unlisted = coalesce($10, walk.unlisted)
  WHERE run_id = $1
)
UPDATE neon_identity.runs AS run SET
  finished_at = coalesce(run.finished_at, pg_catalog.clock_timestamp()),
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
  pages = figures.pages,
  duration_ms = figures.duration_ms
FROM pg_catalog.jsonb_populate_record(NULL::neon_identity.runs, $4::jsonb) AS figures
WHERE run.id = $1
RETURNING run.outcome;
