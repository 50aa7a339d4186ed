-- Begins a run's row, and says which project the schema is bound to.
--
-- $1 boolean dry_run
WITH run AS (
  INSERT INTO neon_identity.runs (dry_run) VALUES ($1) RETURNING id
)
SELECT run.id, bound.provider, bound.project
FROM run
LEFT JOIN neon_identity.connection AS bound ON true;
