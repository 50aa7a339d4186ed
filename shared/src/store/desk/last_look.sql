-- The last look for differences, and how many users differ in each way.
SELECT
  look.begun_at,
  look.ended_at,
  look.listed,
  pg_catalog.count(*) FILTER (WHERE found.change = 'create') AS missing_here,
  pg_catalog.count(*) FILTER (WHERE found.change = 'update') AS different,
  pg_catalog.count(*) FILTER (WHERE found.change = 'delete') AS missing_there,
  pg_catalog.count(*) FILTER (WHERE found.change = 'revive') AS deleted_here
FROM neon_identity.look
LEFT JOIN neon_identity.differences AS found ON true
GROUP BY look.one;
