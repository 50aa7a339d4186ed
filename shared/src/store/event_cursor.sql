-- The last event of the provider's own record that was drained.
SELECT event_cursor FROM neon_identity.walk;
