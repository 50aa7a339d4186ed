-- Profiles of a listing, for join.sql.
--
-- $1 text[]        id, in order, none twice
-- $2 text[]        raw_json
-- $3 text[]        name
-- $4 text[]        email
-- $5 timestamptz[] created_at
-- $6 timestamptz[] at: the profile's version, or when the provider was asked
--
-- They stand in the select list, because in FROM Postgres would first copy all of them
-- into a table.
(
  SELECT
    pg_catalog.unnest($1::text[]),
    pg_catalog.unnest($2::text[]),
    pg_catalog.unnest($3::text[]),
    pg_catalog.unnest($4::text[]),
    pg_catalog.unnest($5::timestamptz[]),
    pg_catalog.unnest($6::timestamptz[])
)
