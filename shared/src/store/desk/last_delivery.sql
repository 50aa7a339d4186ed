-- When the last verified delivery came since the schema was bound, by the record of
-- deliveries.
SELECT
  clock_timestamp() AS now,
  (
    SELECT max(delivery.received_at) FROM neon_identity.deliveries AS delivery
    WHERE delivery.received_at >= (SELECT connected_at FROM neon_identity.connection)
      AND delivery.outcome <> 'failed'
  ) AS last
