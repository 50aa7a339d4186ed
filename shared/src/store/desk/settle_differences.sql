-- Forgets differences that are none any more, since these users are marked as deleted.
--
-- $1 text[] ids
DELETE FROM neon_identity.differences AS found
WHERE found.user_id = ANY ($1) AND found.change = 'delete'
  AND EXISTS (
    SELECT FROM neon_identity.users_sync AS kept
    WHERE kept.id = found.user_id AND kept.deleted_at IS NOT NULL
  );
