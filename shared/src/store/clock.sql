-- The database's clock, the only one that orders reads: microseconds since 1970.
SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint;
