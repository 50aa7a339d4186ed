-- Notes the last event of the record that was drained, once its effect is
-- committed. No row: another run has taken the lease.
--
-- $1 bigint run
-- $2 text   the event's id; NULL: the next run begins anew
UPDATE neon_identity.walk
SET event_cursor = $2
WHERE run_id = $1
RETURNING run_id;
