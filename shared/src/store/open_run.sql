-- Begins a run's row, and says which project the schema is bound to.
--
-- $1 boolean dry_run
-- $2 bigint  the row that the run has, to be gone on with; NULL: none yet
WITH kept AS (
  UPDATE neon_identity.runs SET finished_at = NULL, outcome = NULL, error = NULL
  WHERE id = $2
  RETURNING id
),
made AS (
  INSERT INTO neon_identity.runs (dry_run)
  SELECT $1 WHERE NOT EXISTS (SELECT FROM kept)
  RETURNING id
)
SELECT run.id, bound.provider, bound.project
FROM (SELECT id FROM kept UNION ALL SELECT id FROM made) AS run
LEFT JOIN neon_identity.connection AS bound ON true;
