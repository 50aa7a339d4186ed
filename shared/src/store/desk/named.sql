-- Users by their ids, with the last sign of life of each: the newest version, or
-- the newest delivery about them.
--
-- $1 text[] ids
SELECT
  kept.id,
  pg_catalog.left(kept.name, 200),
  pg_catalog.left(kept.email, 200),
  greatest(
    kept.updated_at,
    (
      SELECT pg_catalog.max(delivery.received_at)
      FROM neon_identity.deliveries AS delivery
      WHERE delivery.user_id = kept.id
    )
  )
FROM neon_identity.users_sync AS kept
WHERE kept.id = ANY ($1);
