-- What an operator wants to know: which deliveries came and what became of them,
-- what runs had to repair, and the state at a glance.

CREATE TABLE neon_identity.deliveries (
  id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  event_id    text        NOT NULL,
  event       text        NOT NULL,
  user_id     text,
  outcome     text        NOT NULL,
  lag_ms      bigint
);
CREATE INDEX deliveries_received_at_idx ON neon_identity.deliveries (received_at);
CREATE INDEX deliveries_user_idx ON neon_identity.deliveries (user_id, received_at);
COMMENT ON TABLE neon_identity.deliveries IS
  'One row for each verified delivery of an event about a user.';
COMMENT ON COLUMN neon_identity.deliveries.event IS
  'The event''s type, as the provider calls it.';
COMMENT ON COLUMN neon_identity.deliveries.outcome IS
  'What became of it: created, updated, revived, deleted, unchanged, stale, rejected, or failed (answered 503).';
COMMENT ON COLUMN neon_identity.deliveries.lag_ms IS
  'Milliseconds from the provider''s own time of the change to the commit; NULL where the provider tells none.';

CREATE TABLE neon_identity.repairs (
  id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id  bigint      NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  user_id text        NOT NULL,
  change  text        NOT NULL CHECK (change IN ('created', 'updated', 'tombstoned', 'revived')),
  missed  boolean
);
CREATE INDEX repairs_at_idx ON neon_identity.repairs (at);
CREATE INDEX repairs_run_idx ON neon_identity.repairs (run_id);
CREATE INDEX repairs_user_idx ON neon_identity.repairs (user_id, at);
-- What is yet to be judged.
CREATE INDEX repairs_open_idx ON neon_identity.repairs (at)
  WHERE missed IS NULL AND change IN ('created', 'tombstoned');
COMMENT ON TABLE neon_identity.repairs IS
  'What runs changed, user by user, once a first run had seen everybody.';
COMMENT ON COLUMN neon_identity.repairs.missed IS
  'Of a user who was created or tombstoned: whether no delivery has told of it, ten minutes later; NULL until a run has found out.';

ALTER TABLE neon_identity.runs ADD COLUMN missed bigint;
COMMENT ON COLUMN neon_identity.runs.missed IS
  'Users whom an earlier run had created or tombstoned, and about whom no delivery came; each is counted once.';

-- Runs that drain the record of events are in runs, too, and know nothing of this.
ALTER TABLE neon_identity.walk
  ADD COLUMN completed_at timestamptz,
  ADD COLUMN held bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN neon_identity.walk.completed_at IS
  'When a run last saw everybody; NULL: none has yet.';
COMMENT ON COLUMN neon_identity.walk.held IS
  'How many users the last run to see everybody did not tombstone, because there were too many.';
UPDATE neon_identity.walk SET
  completed_at = (
    SELECT max(finished_at) FROM neon_identity.runs WHERE outcome = 'complete' AND NOT dry_run
  ),
  held = coalesce((
    SELECT run.held FROM neon_identity.runs AS run
    WHERE run.outcome IN ('complete', 'held') AND NOT run.dry_run
    ORDER BY run.id DESC LIMIT 1
  ), 0);

CREATE VIEW neon_identity.status AS
SELECT
  bound.provider,
  bound.project,
  users.living,
  users.deleted,
  users.placeholders,
  (SELECT max(received_at) FROM neon_identity.deliveries) AS last_delivery_at,
  walk.completed_at AS last_complete_run_at,
  (SELECT count(*) FROM neon_identity.rejections WHERE resolved_at IS NULL) AS open_rejections,
  walk.held,
  lately.deliveries AS deliveries_24h,
  lately.lag_p50_ms,
  lately.lag_p95_ms,
  (
    SELECT count(DISTINCT user_id) FROM neon_identity.repairs
    WHERE missed AND at > clock_timestamp() - interval '24 hours'
  ) AS missed_24h
FROM (
  SELECT
    count(*) FILTER (WHERE deleted_at IS NULL AND updated_at IS NOT NULL) AS living,
    count(*) FILTER (WHERE deleted_at IS NOT NULL) AS deleted,
    count(*) FILTER (WHERE deleted_at IS NULL AND updated_at IS NULL) AS placeholders
  FROM neon_identity.users_sync
) AS users
CROSS JOIN (
  SELECT
    count(*) AS deliveries,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY lag_ms) AS lag_p50_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY lag_ms) AS lag_p95_ms
  FROM neon_identity.deliveries
  WHERE received_at > clock_timestamp() - interval '24 hours'
) AS lately
LEFT JOIN neon_identity.walk ON true
LEFT JOIN neon_identity.connection AS bound ON true;
COMMENT ON VIEW neon_identity.status IS 'The state of the sync at a glance: one row.';

-- For the writer, which may delete nothing by itself.
CREATE FUNCTION neon_identity.prune(days integer) RETURNS bigint
LANGUAGE sql
STRICT
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  WITH horizon AS (
    -- A million days ago is a time that a timestamp can hold.
    SELECT clock_timestamp() - make_interval(days => least(greatest(days, 0), 1000000)) AS at
  ),
  old_deliveries AS (
    DELETE FROM neon_identity.deliveries WHERE id IN (
      SELECT delivery.id FROM neon_identity.deliveries AS delivery, horizon
      WHERE delivery.received_at < horizon.at
      LIMIT 1000
      FOR UPDATE OF delivery SKIP LOCKED
    ) RETURNING id
  ),
  old_repairs AS (
    DELETE FROM neon_identity.repairs WHERE id IN (
      SELECT repair.id FROM neon_identity.repairs AS repair, horizon
      WHERE repair.at < horizon.at
      LIMIT 1000
      FOR UPDATE OF repair SKIP LOCKED
    ) RETURNING id
  ),
  old_runs AS (
    DELETE FROM neon_identity.runs WHERE id IN (
      SELECT run.id FROM neon_identity.runs AS run, horizon
      WHERE run.finished_at < horizon.at
        AND run.id IS DISTINCT FROM (
          SELECT max(complete.id) FROM neon_identity.runs AS complete
          WHERE complete.outcome = 'complete' AND NOT complete.dry_run
        )
        -- The last one that saw everybody, where newer ones drained the record.
        AND run.finished_at IS DISTINCT FROM (SELECT completed_at FROM neon_identity.walk)
      LIMIT 1000
      FOR UPDATE OF run SKIP LOCKED
    ) RETURNING id
  ),
  old_rejections AS (
    DELETE FROM neon_identity.rejections WHERE id IN (
      SELECT rejection.id FROM neon_identity.rejections AS rejection, horizon
      WHERE rejection.resolved_at < horizon.at
      LIMIT 1000
      FOR UPDATE OF rejection SKIP LOCKED
    ) RETURNING id
  )
  -- Of the one that had most: as long as that is a whole batch, there may be more.
  SELECT greatest(
    (SELECT count(*) FROM old_deliveries),
    (SELECT count(*) FROM old_repairs),
    (SELECT count(*) FROM old_runs),
    (SELECT count(*) FROM old_rejections)
  )
$$;
COMMENT ON FUNCTION neon_identity.prune(integer) IS
  'Deletes what the records keep for longer than so many days, a thousand rows of each at most, and says how many rows that were of the one that had most.';
REVOKE ALL ON FUNCTION neon_identity.prune(integer) FROM PUBLIC;
