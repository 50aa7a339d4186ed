-- Lets the user of database_url do what the writer may; writer_login stands
-- for their name.
GRANT neon_identity_writer TO writer_login;
