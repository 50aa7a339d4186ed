-- For the rest of the transaction, because others may be able to create something in public:
-- no function, operator or type of theirs is taken for the server's own.
SET LOCAL search_path = pg_catalog, pg_temp;
