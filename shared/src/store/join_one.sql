-- One profile, for join.sql. Its plan can be kept: the server knows that it is for one
-- row, whatever the table has grown to since.
--
-- $1 text        id
-- $2 text        raw_json
-- $3 text        name
-- $4 text        email
-- $5 timestamptz created_at
-- $6 timestamptz at: the profile's version, or when the provider was asked
(VALUES ($1, $2, $3, $4, $5, $6))
