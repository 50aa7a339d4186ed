-- How users_sync differs from what Neon makes, one row each; none where it can be
-- taken over. The order of the columns is nobody's business, and columns that the
-- application has added are its own.
WITH found AS (
  SELECT * FROM pg_class WHERE oid = 'neon_identity.users_sync'::regclass
),
needed AS (
  SELECT *
  FROM (
    VALUES
      ('raw_json', 'jsonb'),
      ('id', 'text'),
      ('name', 'text'),
      ('email', 'text'),
      ('created_at', 'timestamp with time zone'),
      ('updated_at', 'timestamp with time zone'),
      ('deleted_at', 'timestamp with time zone')
  ) AS seven (name, type)
),
own AS (
  SELECT
    attname::text AS name,
    attnum AS number,
    format_type(atttypid, atttypmod) AS type,
    attnotnull AS required,
    attgenerated AS generated,
    attidentity <> '' OR atthasdef AS filled,
    attcollation AS collation
  FROM pg_attribute
  JOIN found ON found.oid = attrelid
  WHERE attnum > 0 AND NOT attisdropped
)
SELECT CASE relkind
  WHEN 'v' THEN 'it is a view'
  WHEN 'm' THEN 'it is a materialized view'
  WHEN 'f' THEN 'it is a foreign table'
  WHEN 'p' THEN 'it is partitioned'
  ELSE 'it is no table'
END
FROM found
WHERE relkind <> 'r'
UNION ALL
SELECT 'it is unlogged, so that a crash would empty it'
FROM found
WHERE relpersistence = 'u'
UNION ALL
SELECT 'it is a partition, or inherits from another table, or another one from it'
FROM found
WHERE EXISTS (SELECT FROM pg_inherits WHERE found.oid IN (inhrelid, inhparent))
UNION ALL
SELECT format('it is of a type (%s)', reloftype::regtype)
FROM found
WHERE reloftype <> 0
UNION ALL
-- Only the table's owner is allowed to change it, or a member of that role.
SELECT format(
  'it belongs to %s, whose rights %s does not have: name its owner in admin_database_url',
  relowner::regrole,
  quote_ident(current_user)
)
FROM found
WHERE NOT pg_has_role(relowner, 'USAGE')
UNION ALL
SELECT CASE
  WHEN own.type IS NULL THEN 'there is no column ' || needed.name
  ELSE format('%s is %s, and not %s', needed.name, own.type, needed.type)
END
FROM needed
LEFT JOIN own USING (name)
WHERE own.type IS DISTINCT FROM needed.type
UNION ALL
SELECT own.name || ' is generated'
FROM own
WHERE generated <> '' AND own.name IN ('raw_json', 'updated_at', 'deleted_at')
UNION ALL
SELECT own.name || ' is generated and not stored'
FROM own
WHERE generated = 'v' AND own.name IN ('id', 'name', 'email', 'created_at')
UNION ALL
SELECT DISTINCT format('%s is generated from %s, and not from raw_json', own.name, other.name)
FROM own
JOIN pg_attrdef ON adrelid = 'neon_identity.users_sync'::regclass AND adnum = own.number
-- What an expression reads is noted of itself, and before PostgreSQL 15 of its column.
JOIN pg_depend ON refclassid = 'pg_class'::regclass
  AND refobjid = adrelid
  AND (
    classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid
    OR classid = 'pg_class'::regclass AND objid = adrelid AND objsubid = own.number
  )
JOIN own AS other ON other.number = refobjsubid AND other.number <> own.number
WHERE own.generated = 's'
  AND own.name IN ('id', 'name', 'email', 'created_at')
  AND other.name <> 'raw_json'
UNION ALL
SELECT 'id has a collation that takes different ids for one'
FROM own
JOIN pg_collation ON pg_collation.oid = own.collation
WHERE own.name = 'id' AND NOT collisdeterministic
UNION ALL
SELECT format('the column %I is NOT NULL without a default, so that no user could be added', own.name)
FROM own
LEFT JOIN needed USING (name)
WHERE needed.name IS NULL AND required AND NOT filled AND generated = ''
UNION ALL
SELECT 'its primary key is not id alone'
FROM pg_index
WHERE indrelid = 'neon_identity.users_sync'::regclass
  AND indisprimary
  AND indkey::text <> (SELECT number::text FROM own WHERE name = 'id')
UNION ALL
SELECT 'its primary key is deferrable'
FROM pg_index
WHERE indrelid = 'neon_identity.users_sync'::regclass AND indisprimary AND NOT indimmediate
UNION ALL
SELECT format('it has a rule (%I) for INSERT or UPDATE', rulename)
FROM pg_rewrite
WHERE ev_class = 'neon_identity.users_sync'::regclass AND ev_type IN ('2', '3')
UNION ALL
SELECT 'users_sync_deleted_at_idx is something else than an index of deleted_at'
FROM pg_class AS index
JOIN found ON found.relnamespace = index.relnamespace
WHERE index.relname = 'users_sync_deleted_at_idx'
  AND NOT EXISTS (
    SELECT
    FROM pg_index
    WHERE indexrelid = index.oid
      AND indrelid = found.oid
      AND indkey::text = (SELECT number::text FROM own WHERE name = 'deleted_at')
  );
