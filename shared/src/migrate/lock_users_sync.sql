-- Nobody writes to the table, or changes it, from the look at it until it is taken
-- over. Every other session that asks for it queues behind this, so it does not wait for
-- long.
SET LOCAL lock_timeout = '10s';
LOCK TABLE neon_identity.users_sync IN ACCESS EXCLUSIVE MODE;
