-- Stores a statement as a function, so that every connection of the server keeps its
-- plan. It has the rights of whoever calls it, and gives back the outcome alone: a table,
-- even one of a single row, would be stored twice on its way. Its name, its types and the
-- statement, whose answer is one row, are filled in by planned.rs.
--
-- A function of another release stays: instances of that release may still call it.
DO $provision$
BEGIN
  IF pg_catalog.to_regproc('neon_identity.statement_name') IS NULL THEN
    CREATE FUNCTION neon_identity.statement_name(statement_takes) RETURNS text
    LANGUAGE plpgsql
    -- The plan outlives the table's growth, which may begin with no row at all.
    SET enable_seqscan = off
    SET jit = off
    AS $statement$
    #variable_conflict use_column
    DECLARE
      answer record;
    BEGIN
statement_itself
INTO answer;
      RETURN answer.outcome;
    END
    $statement$;
    IF pg_catalog.to_regrole('neon_identity_writer') IS NOT NULL THEN
      REVOKE ALL ON FUNCTION neon_identity.statement_name FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION neon_identity.statement_name TO neon_identity_writer;
    END IF;
  END IF;
END
$provision$;
