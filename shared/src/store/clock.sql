-- The database's clock, the only one that orders reads.
SELECT pg_catalog.clock_timestamp();
