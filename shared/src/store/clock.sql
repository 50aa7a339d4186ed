-- The database's clock, the only one that orders reads: microseconds since 1970.
SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000000::numeric)::bigint;
