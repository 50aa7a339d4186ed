-- Lets migrations change the books that have no key yet (0006_strangers gives
-- them one) where a publication of all tables would refuse it.
DO $$
DECLARE
  book text;
BEGIN
  FOREACH book IN ARRAY ARRAY['connection', 'walk'] LOOP
    CONTINUE WHEN to_regclass('neon_identity.' || book) IS NULL OR EXISTS (
      SELECT FROM pg_index
      WHERE indrelid = to_regclass('neon_identity.' || book) AND indisprimary
    );
    EXECUTE format('ALTER TABLE neon_identity.%I REPLICA IDENTITY FULL', book);
  END LOOP;
END
$$;
