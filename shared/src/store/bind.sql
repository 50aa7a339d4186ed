-- Binds the schema to a project unless it is bound; gives back to which it is,
-- or no row where another was bound while this waited: ask again.
--
-- $1 text   provider
-- $2 text[] project, by all its names, the best one first
WITH renamed AS (
  -- By its key only while nothing better was known.
  UPDATE neon_identity.connection SET project = ($2)[1]
  WHERE provider = $1 AND project = ANY ($2) AND project <> ($2)[1]
  RETURNING provider, project
),
new AS (
  INSERT INTO neon_identity.connection (provider, project)
  VALUES ($1, ($2)[1])
  ON CONFLICT DO NOTHING
  RETURNING provider, project
),
begun_anew AS (
  -- Where a walk through another project was is nowhere in this one.
  UPDATE neon_identity.walk SET
    position = NULL,
    met = NULL,
    rejected = 0,
    nameless = 0,
    unlisted = '{}',
    event_cursor = NULL
  WHERE EXISTS (SELECT FROM new)
)
SELECT provider, project FROM renamed
UNION ALL
SELECT provider, project FROM new
UNION ALL
SELECT provider, project FROM neon_identity.connection
LIMIT 1;
