-- Records a delivery that was answered 503.
--
-- $1 text        event_id
-- $2 text        the event's type
-- $3 text        user_id, where it could be read
-- $4 timestamptz when the change was, by the provider's clock; NULL: it doesn't tell
-- $5 text        provider
-- $6 text[]      project, by all its names
INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome, lag_ms)
SELECT $1, $2, $3, 'failed', CASE WHEN $4 IS NOT NULL THEN greatest(
    0.0,
    (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - EXTRACT(epoch FROM $4)) * 1000.0
  )::bigint END
FROM neon_identity.connection
WHERE provider = $5 AND project = ANY ($6);
