-- What happened in so many stretches of time, each of so many hours, up to now.
--
-- $1 integer hours of a stretch
-- $2 integer how many stretches
WITH clock AS (
  SELECT
    pg_catalog.date_bin(
      pg_catalog.make_interval(hours => $1), pg_catalog.clock_timestamp(),
      timestamptz '2000-01-03 00:00:00+00'
    ) AS last,
    pg_catalog.make_interval(hours => $1) AS length
),
stretches AS (
  SELECT clock.last - clock.length * back AS begin
  FROM clock, pg_catalog.generate_series($2 - 1, 0, -1) AS back
),
delivered AS (
  SELECT
    pg_catalog.date_bin(
      clock.length, delivery.received_at, timestamptz '2000-01-03 00:00:00+00'
    ) AS begin,
    pg_catalog.count(*) FILTER (WHERE outcome IN ('created', 'updated', 'revived', 'deleted')) AS applied,
    pg_catalog.count(*) FILTER (WHERE outcome IN ('unchanged', 'stale')) AS unchanged,
    pg_catalog.count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
    pg_catalog.count(*) FILTER (WHERE outcome = 'failed') AS failed,
    pg_catalog.percentile_disc(0.5) WITHIN GROUP (ORDER BY lag_ms) AS lag_p50_ms,
    pg_catalog.percentile_disc(0.95) WITHIN GROUP (ORDER BY lag_ms) AS lag_p95_ms
  FROM clock, neon_identity.deliveries AS delivery
  WHERE delivery.received_at >= (SELECT pg_catalog.min(begin) FROM stretches)
  GROUP BY 1
),
repaired AS (
  SELECT
    pg_catalog.date_bin(
      clock.length, repair.at, timestamptz '2000-01-03 00:00:00+00'
    ) AS begin,
    pg_catalog.count(*) AS repaired
  FROM clock, neon_identity.repairs AS repair
  WHERE repair.at >= (SELECT pg_catalog.min(begin) FROM stretches)
  GROUP BY 1
)
SELECT
  stretches.begin,
  coalesce(delivered.applied, 0),
  coalesce(delivered.unchanged, 0),
  coalesce(delivered.rejected, 0),
  coalesce(delivered.failed, 0),
  delivered.lag_p50_ms,
  delivered.lag_p95_ms,
  coalesce(repaired.repaired, 0)
FROM stretches
LEFT JOIN delivered USING (begin)
LEFT JOIN repaired USING (begin)
ORDER BY stretches.begin;
