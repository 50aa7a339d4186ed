-- One provision of a schema at a time; gone with the transaction.
--
-- $1 text schema
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('users-sync provision ' || $1, 0));
