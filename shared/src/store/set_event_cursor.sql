-- Notes up to which event the record is drained, after what it told is
-- committed; no row: another run has taken the lease.
--
-- $1 bigint run
-- $2 text   the event's id; NULL: the next run begins anew
UPDATE neon_identity.walk
SET event_cursor = $2
WHERE run_id = $1
RETURNING run_id;
