-- The database's clock, the only one that orders reads: seconds since 1970. They are
-- not multiplied here, because an application's operator could do it.
SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp());
