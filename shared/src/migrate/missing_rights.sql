-- What this user lacks of what webhook and reconcile need, one row each.
WITH needed AS (
  SELECT pg_catalog.to_regclass('neon_identity.' || book) AS relation, book, privilege
  FROM (
    VALUES
      ('users_sync', 'SELECT,INSERT,UPDATE'),
      ('rejections', 'SELECT,INSERT,UPDATE'),
      ('runs', 'SELECT,INSERT,UPDATE'),
      ('deliveries', 'SELECT,INSERT'),
      ('repairs', 'SELECT,INSERT,UPDATE'),
      ('walk', 'SELECT,UPDATE'),
      ('connection', 'SELECT')
  ) AS granted (book, privileges)
  CROSS JOIN unnest(string_to_array(privileges, ',')) AS privilege
)
SELECT privilege || ' on ' || book
FROM needed
WHERE relation IS NULL OR NOT has_table_privilege(relation, privilege)
UNION ALL
SELECT 'EXECUTE on function ' || function
FROM unnest(ARRAY['prune(integer)', 'erase_older_than(integer)']) AS function
WHERE has_function_privilege(to_regprocedure('neon_identity.' || function), 'EXECUTE')
  IS NOT TRUE
UNION ALL
SELECT 'a policy of row-level security for ' || privilege || ' on ' || book
FROM needed
WHERE row_security_active(relation)
  AND NOT EXISTS (
    SELECT
    FROM pg_policy
    WHERE polrelid = relation
      AND polpermissive
      AND polcmd IN ('*', CASE privilege WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' ELSE 'w' END)
      -- 0 is everybody.
      AND EXISTS (
        SELECT FROM unnest(polroles) AS role
        WHERE role = 0 OR pg_catalog.pg_has_role(role, 'USAGE')
      )
  );
