-- Nobody writes to the table, or changes it, from the look at it until it is taken
-- over. Whoever asks for it meanwhile queues behind this, so it does not wait for
-- long.
SET LOCAL lock_timeout = '10s';
LOCK TABLE neon_identity.users_sync IN ACCESS EXCLUSIVE MODE;
