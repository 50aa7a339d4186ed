-- Counts what happened in stretches of time from a moment on, and keeps the figures of those that are
-- over, until nobody asks for them any more.
--
-- $1 integer     hours of a stretch
-- $2 timestamptz when the first of them begins
WITH stretches AS (
  SELECT begin
  FROM pg_catalog.generate_series(
    $2, pg_catalog.clock_timestamp(), pg_catalog.make_interval(hours => $1)
  ) AS begin
),
delivered AS (
  SELECT
    pg_catalog.date_bin(pg_catalog.make_interval(hours => $1), received_at, $2) AS begin,
    pg_catalog.count(*) FILTER (WHERE outcome IN ('created', 'updated', 'revived', 'deleted')) AS applied,
    pg_catalog.count(*) FILTER (WHERE outcome IN ('unchanged', 'stale')) AS unchanged,
    pg_catalog.count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
    pg_catalog.count(*) FILTER (WHERE outcome = 'failed') AS failed,
    pg_catalog.percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY lag_ms) AS lag_ms
  FROM neon_identity.deliveries
  WHERE received_at >= $2
  GROUP BY 1
),
repaired AS (
  SELECT
    pg_catalog.date_bin(pg_catalog.make_interval(hours => $1), at, $2) AS begin,
    pg_catalog.count(*) AS repaired
  FROM neon_identity.repairs
  WHERE at >= $2
  GROUP BY 1
),
counted AS (
  SELECT
    stretches.begin,
    coalesce(delivered.applied, 0) AS applied,
    coalesce(delivered.unchanged, 0) AS unchanged,
    coalesce(delivered.rejected, 0) AS rejected,
    coalesce(delivered.failed, 0) AS failed,
    delivered.lag_ms[1] AS lag_p50_ms,
    delivered.lag_ms[2] AS lag_p95_ms,
    coalesce(repaired.repaired, 0) AS repaired
  FROM stretches
  LEFT JOIN delivered USING (begin)
  LEFT JOIN repaired USING (begin)
),
kept AS (
  INSERT INTO neon_identity.activity
    (hours, begin, applied, unchanged, rejected, failed, lag_p50_ms, lag_p95_ms, repaired)
  SELECT $1, counted.* FROM counted
  -- A delivery of the stretch may not be committed yet right after it.
  WHERE begin + pg_catalog.make_interval(hours => $1)
    < pg_catalog.clock_timestamp() - interval '5 minutes'
  ON CONFLICT DO NOTHING
),
past AS (
  DELETE FROM neon_identity.activity
  WHERE begin < pg_catalog.clock_timestamp() - interval '8 days'
)
SELECT * FROM counted ORDER BY begin;
