-- Deletes a batch of what is older than it is kept; gives how many rows of one
-- kind went at most.
--
-- $1 integer days
SELECT neon_identity.prune($1);
