-- The last deliveries and repairs of a user, the newest first.
--
-- $1 text   id
-- $2 bigint how many
SELECT at, kind, by, outcome, lag_ms
FROM (
  (
    SELECT received_at AS at, 'delivery' AS kind, event AS by, outcome, lag_ms
    FROM neon_identity.deliveries
    WHERE user_id = $1
    ORDER BY received_at DESC
    LIMIT $2
  )
  UNION ALL
  (
    SELECT at, 'repair', run_id::text, change, NULL
    FROM neon_identity.repairs
    WHERE user_id = $1
    ORDER BY at DESC
    LIMIT $2
  )
) AS happened
ORDER BY at DESC
LIMIT $2;
