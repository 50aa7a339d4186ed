-- The state of the connection and of the table, in one row. Of a large table the
-- rows are not counted: the server knows about how many there are.
WITH size AS (
  SELECT reltuples::bigint AS about
  FROM pg_catalog.pg_class
  WHERE oid = 'neon_identity.users_sync'::regclass
),
last AS (
  SELECT id, outcome, finished_at, held, error
  FROM neon_identity.runs
  WHERE NOT dry_run AND finished_at IS NOT NULL AND outcome <> 'busy'
  ORDER BY id DESC
  LIMIT 1
)
SELECT
  pg_catalog.clock_timestamp() AS now,
  bound.provider,
  bound.project,
  bound.connected_at,
  CASE
    WHEN size.about > 100000 THEN size.about
    ELSE (SELECT pg_catalog.count(*) FROM neon_identity.users_sync)
  END AS users,
  size.about > 100000 AS estimated,
  (
    SELECT pg_catalog.count(*) FROM (
      SELECT FROM neon_identity.users_sync WHERE deleted_at IS NOT NULL LIMIT 10001
    ) AS counted
  ) AS deleted,
  (
    SELECT pg_catalog.count(*) FROM (
      SELECT FROM neon_identity.users_sync
      WHERE created_at IS NULL AND updated_at IS NULL AND deleted_at IS NULL
      LIMIT 10001
    ) AS counted
  ) AS placeholders,
  (
    SELECT pg_catalog.count(*) FROM (
      SELECT FROM neon_identity.rejections WHERE resolved_at IS NULL LIMIT 10001
    ) AS counted
  ) AS rejections,
  last.id AS run,
  last.outcome,
  last.finished_at,
  last.held,
  last.error,
  (
    SELECT finished_at FROM neon_identity.runs
    WHERE outcome = 'complete' AND NOT dry_run
    ORDER BY id DESC
    LIMIT 1
  ) AS complete_at,
  coalesce(walk.lease_until > pg_catalog.clock_timestamp(), false) AS running,
  (CASE WHEN walk.position IS NOT NULL THEN pg_catalog.octet_length(walk.met) / 8 END)::bigint
    AS walked,
  delivery.received_at,
  delivery.outcome AS delivered
FROM size
LEFT JOIN last ON true
LEFT JOIN (
  SELECT received_at, outcome FROM neon_identity.deliveries ORDER BY received_at DESC LIMIT 1
) AS delivery ON true
LEFT JOIN neon_identity.connection AS bound ON true
LEFT JOIN neon_identity.walk ON true;
