-- Which listed users differ from their rows, and how; equal ones are left out.
-- A digest stands for each profile, so that no profile is sent.
--
-- $1 text[]        id
-- $2 bytea[]       the first 16 bytes of SHA-256 of the row below; NULL: not known
-- $3 timestamptz[] version; NULL where the provider has none
-- $4 timestamptz   a moment before the listing was asked for
-- $5 float8        staleness of the provider's listing in seconds
-- $6 text[]        fields of the profile that the listing leaves open
SELECT
  new.place,
  CASE
    WHEN kept.id IS NULL THEN 'created'
    -- A listing alone revives nobody.
    WHEN kept.deleted_at IS NOT NULL THEN 'tombstone'
    WHEN kept.updated_at IS NULL THEN 'updated'
    -- The row's time is in the future, or is not the version of what it says: a
    -- person has edited it.
    WHEN content.same THEN 'doubtful'
    -- Only a read shows the whole profile.
    WHEN pg_catalog.cardinality($6) > 0 THEN 'doubtful'
    WHEN new.version > kept.updated_at THEN 'updated'
    WHEN new.version IS NULL
      AND kept.updated_at < $4 - pg_catalog.make_interval(secs => $5) THEN 'updated'
    ELSE 'doubtful'
  END AS difference
FROM ROWS FROM (
  pg_catalog.unnest($1::text[]),
  pg_catalog.unnest($2::bytea[]),
  pg_catalog.unnest($3::timestamptz[])
) WITH ORDINALITY AS new (id, digest, version, place)
LEFT JOIN neon_identity.users_sync AS kept USING (id)
CROSS JOIN LATERAL (
  -- As a row is sent to a client: in one piece, so that a long profile is not copied
  -- from one expression to the next.
  SELECT new.digest IS NOT DISTINCT FROM pg_catalog.substr(pg_catalog.sha256(pg_catalog.record_send(ROW(
    CASE
      WHEN pg_catalog.cardinality($6) = 0 THEN kept.raw_json
      -- A person may have put in something that is no object and has no fields.
      WHEN pg_catalog.jsonb_typeof(kept.raw_json) <> 'object' THEN kept.raw_json
      ELSE kept.raw_json - $6
    END,
    kept.name,
    kept.email,
    kept.created_at
  ))), 1, 16) AS same
) AS content
WHERE NOT (
  kept.id IS NOT NULL
  AND kept.deleted_at IS NULL
  AND kept.updated_at IS NOT NULL
  AND CASE WHEN new.version IS NULL
    THEN kept.updated_at <= pg_catalog.clock_timestamp()
    ELSE kept.updated_at = new.version
  END
  -- Last, because it costs most: nothing is printed for a user without a row.
  AND content.same
);
