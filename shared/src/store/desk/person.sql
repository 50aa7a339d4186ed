-- One user, with the profile indented, and cut where it is endless.
--
-- $1 text    id
-- $2 integer how many characters of the profile
SELECT
  pg_catalog.clock_timestamp(),
  kept.id,
  kept.name,
  kept.email,
  kept.created_at,
  kept.updated_at,
  kept.deleted_at,
  pg_catalog.left(printed.profile, $2),
  pg_catalog.length(printed.profile)::bigint
FROM neon_identity.users_sync AS kept
CROSS JOIN LATERAL (SELECT pg_catalog.jsonb_pretty(kept.raw_json) AS profile) AS printed
WHERE kept.id = $1;
