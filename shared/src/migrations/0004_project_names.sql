-- A project has one name, however its URL is written: before, an upper case, a
-- default port and even user info were part of it (Supabase, Auth0).
UPDATE neon_identity.connection
SET project = lower(regexp_replace(regexp_replace(project, '^.*@', ''), ':(80|443)$', ''))
WHERE provider IN ('supabase', 'auth0');
