-- Where a look for differences goes on that has not ended.
SELECT position, met, rejected, nameless FROM neon_identity.look WHERE ended_at IS NULL;
