-- One provision of a schema at a time; gone with the transaction.
--
-- $1 text schema
SELECT pg_advisory_xact_lock(hashtextextended('users-sync provision ' || $1, 0));
