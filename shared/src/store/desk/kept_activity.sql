-- The last stretches of time, each of so many hours, and what happened in those that were counted
-- after they were over.
--
-- $1 integer hours of a stretch
-- $2 integer how many stretches, the last of them the one that is not over
WITH clock AS (
  SELECT
    pg_catalog.date_bin(
      pg_catalog.make_interval(hours => $1), pg_catalog.clock_timestamp(),
      timestamptz '2000-01-03 00:00:00+00'
    ) AS last,
    pg_catalog.make_interval(hours => $1) AS length
)
SELECT
  clock.last - clock.length * back,
  kept.applied,
  kept.unchanged,
  kept.rejected,
  kept.failed,
  kept.lag_p50_ms,
  kept.lag_p95_ms,
  kept.repaired
FROM clock
CROSS JOIN pg_catalog.generate_series($2 - 1, 0, -1) AS back
LEFT JOIN neon_identity.activity AS kept
  ON kept.hours = $1 AND kept.begin = clock.last - clock.length * back
ORDER BY 1;
