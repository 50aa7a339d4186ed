-- Marks rejections as resolved whose user a whole listing no longer rejected.
--
-- $1 bigint the run that walked the listing to its end
UPDATE neon_identity.rejections AS kept
SET resolved_at = pg_catalog.clock_timestamp()
FROM neon_identity.walk
WHERE walk.run_id = $1
  AND kept.resolved_at IS NULL
  AND kept.rejected_at < walk.begun_at
  -- The whole listing has since told everything that a rejected delivery told,
  -- and a user that is not listed is gone. A row of the user proves nothing: it
  -- may date from before the user became unreadable.
  AND NOT EXISTS (
    SELECT FROM neon_identity.rejections AS again
    WHERE again.user_id = kept.user_id AND again.rejected_at >= walk.begun_at
  );
