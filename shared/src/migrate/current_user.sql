-- The user that the server takes this login for: a pooler's user may have another name
-- in the URL (Supabase's has role.project there).
SELECT current_user::text;
