-- Keeps what was signed or listed and could not be stored, once per event. Only
-- the newest rejection of a user stays open.
--
-- $1 text   source: 'delivery' or 'listing'
-- $2 text   event_id
-- $3 text   reason
-- $4 bytea  body
-- $5 text   user_id, where it could be read
-- $6 text   provider
-- $7 text[] project, by all its names
-- $8 text   type of the event of the delivery that is to be recorded; NULL: none is
-- $9 timestamptz when the change was, by the provider's clock; NULL: it doesn't tell
WITH erased AS (
  -- Nothing is kept of a user that was erased (erase_user).
  SELECT
  FROM neon_identity.users_sync
  WHERE id = $5 AND deleted_at IS NOT NULL AND updated_at IS NOT NULL AND raw_json = '{}'
),
bound AS (
  SELECT FROM neon_identity.connection WHERE provider = $6 AND project = ANY ($7)
),
kept AS (
  INSERT INTO neon_identity.rejections AS kept (source, event_id, reason, body, user_id)
  SELECT $1, $2, $3, CASE WHEN EXISTS (SELECT FROM erased) THEN '' ELSE $4 END, $5
  WHERE EXISTS (SELECT FROM bound)
  ON CONFLICT (source, event_id) DO UPDATE SET
    rejected_at = excluded.rejected_at,
    reason = excluded.reason,
    body = excluded.body,
    user_id = excluded.user_id,
    redacted = NULL,
    resolved_at = NULL
  RETURNING id
),
superseded AS (
  UPDATE neon_identity.rejections AS older SET resolved_at = pg_catalog.clock_timestamp()
  WHERE older.user_id = $5
    AND older.resolved_at IS NULL
    AND (older.source, older.event_id) <> ($1, $2)
    AND EXISTS (SELECT FROM bound)
),
recorded AS (
  INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome, lag_ms)
  SELECT $2, $8, $5, 'rejected', CASE WHEN $9 IS NOT NULL THEN greatest(
      0.0,
      (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) - EXTRACT(epoch FROM $9)) * 1000.0
    )::bigint END
  WHERE $8 IS NOT NULL AND EXISTS (SELECT FROM bound)
)
SELECT CASE WHEN EXISTS (SELECT FROM bound) THEN 'updated' ELSE 'foreign' END;
