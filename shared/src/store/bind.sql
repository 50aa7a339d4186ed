-- Binds the schema to a project unless it is bound, and gives back the project
-- that it is bound to. No row: another one was bound while this waited; ask again.
--
-- $1 text   provider
-- $2 text[] project, by all its names, the best one first
WITH renamed AS (
  -- The key's name stood for the project only while no better one was known.
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
  -- A walk's place in another project means nothing in this one.
  UPDATE neon_identity.walk SET
    position = NULL,
    met = NULL,
    rejected = 0,
    nameless = 0,
    unlisted = '{}',
    event_cursor = NULL,
    completed_at = NULL,
    held = 0
  WHERE EXISTS (SELECT FROM new)
),
judged AS (
  -- No webhook of this project tells of another one's users.
  UPDATE neon_identity.repairs SET missed = false
  WHERE missed IS NULL AND change IN ('created', 'tombstoned') AND EXISTS (SELECT FROM new)
)
SELECT provider, project FROM renamed
UNION ALL
SELECT provider, project FROM new
UNION ALL
SELECT provider, project FROM neon_identity.connection
LIMIT 1;
