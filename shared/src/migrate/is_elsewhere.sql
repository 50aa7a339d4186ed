-- Whether the mark is not in this database.
--
-- $1 bigint the mark
SELECT pg_try_advisory_xact_lock($1);
