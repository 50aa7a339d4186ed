-- The join of a deletion; it may arrive before the user does.
--
-- $1 text        id
-- $2 timestamptz at: when the user was gone
-- $3 float8      staleness of the provider's reads in seconds; 0 for versions
-- $4 boolean     whether a deleted user's id may come back
-- $5 text        provider
-- $6 text[]      project, by all its names
WITH bound AS (
  SELECT FROM neon_identity.connection WHERE provider = $5 AND project = ANY ($6)
),
written AS (
  INSERT INTO neon_identity.users_sync AS kept (raw_json, id, deleted_at)
  SELECT '{}', $1, $2
  WHERE EXISTS (SELECT FROM bound)
  ON CONFLICT (id) DO UPDATE SET
    -- Not before the profile it ends, whose clock may count finer.
    -- An endless time, put in by hand, ends here.
    deleted_at = greatest(
      CASE WHEN pg_catalog.isfinite(kept.deleted_at) THEN kept.deleted_at END,
      excluded.deleted_at,
      CASE WHEN pg_catalog.isfinite(kept.updated_at) THEN kept.updated_at END
    ),
    updated_at = CASE
      WHEN NOT pg_catalog.isfinite(kept.updated_at) THEN excluded.deleted_at
      ELSE kept.updated_at
    END
  WHERE
    -- Gone for good, whenever that was.
    NOT $4
    OR kept.updated_at IS NULL
    -- Else the user may have come back since.
    OR kept.updated_at < excluded.deleted_at - pg_catalog.make_interval(secs => $3)
  RETURNING kept.id
)
SELECT CASE
  WHEN NOT EXISTS (SELECT FROM bound) THEN 'foreign'
  WHEN NOT EXISTS (SELECT FROM written) THEN 'tied'
  -- The row as it was when the statement began: shown as deleted already.
  WHEN EXISTS (SELECT FROM neon_identity.users_sync WHERE id = $1 AND deleted_at IS NOT NULL)
    THEN 'unchanged'
  ELSE 'updated'
END;
