-- Leaves a mark in this database that any login can see, for as long as the
-- transaction lasts.
--
-- $1 bigint the mark
SELECT pg_catalog.pg_advisory_xact_lock($1);
