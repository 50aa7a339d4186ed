-- Marks rejections as resolved whose user a whole listing no longer rejected.
--
-- $1 bigint the run that walked the listing to its end
UPDATE neon_identity.rejections AS kept
SET resolved_at = pg_catalog.clock_timestamp()
FROM neon_identity.walk
WHERE walk.run_id = $1
  AND kept.resolved_at IS NULL
  AND kept.rejected_at < walk.begun_at
  AND CASE WHEN kept.user_id IS NULL
    -- Whose it was, nobody can tell; but no user is listed like that any more.
    THEN kept.source = 'listing'
    ELSE EXISTS (
      SELECT FROM neon_identity.users_sync AS stored
      WHERE stored.id = kept.user_id
        AND (stored.updated_at IS NOT NULL OR stored.deleted_at IS NOT NULL)
    )
    -- The row may be of before the user became unreadable.
    AND NOT EXISTS (
      SELECT FROM neon_identity.rejections AS again
      WHERE again.user_id = kept.user_id AND again.rejected_at >= walk.begun_at
    )
  END;
