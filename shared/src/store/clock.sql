-- The database's clock, the only one that orders reads.
SELECT clock_timestamp();
