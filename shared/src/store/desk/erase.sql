-- Removes all that is kept of a deleted user's person, as the schema's owner may.
--
-- $1 text id
SELECT neon_identity.erase_user($1)::text;
