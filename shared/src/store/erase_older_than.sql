-- Erases a batch of users who were deleted long ago; gives how many, and of how
-- many the table keeps what it has.
--
-- $1 integer days
SELECT erased, refused FROM neon_identity.erase_older_than($1);
