-- What is not as 0004_project_names made it, one row each; none when all is well.
SELECT 'connection holds the user info of a URL: delete its row and run provision'
WHERE EXISTS (
  SELECT FROM neon_identity.connection WHERE provider IN ('supabase', 'auth0') AND project ~ '@'
);
