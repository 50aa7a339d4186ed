-- Up to which event the provider's own record of events is drained.
SELECT event_cursor FROM neon_identity.walk;
