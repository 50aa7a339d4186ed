-- A crowd, as a large application has it: so many users as the setting crowd.users says, one in a
-- hundred of them deleted and one a placeholder, a week's deliveries, one for each user, and the
-- runs, repairs and rejections of that week.
SET LOCAL synchronous_commit = off;
SELECT setseed(0.5);

CREATE TEMPORARY TABLE crowd ON COMMIT DROP AS
SELECT
  n,
  md5('user ' || n)::uuid::text AS id,
  (ARRAY['Ada', 'Alan', 'Barbara', 'Charles', 'Dorothy', 'Edsger', 'Frances', 'Grace', 'Hedy', 'Ida',
    'Joan', 'Katherine', 'Leslie', 'Mary', 'Niklaus', 'Olga', 'Peter', 'Radia', 'Sophie', 'Tim'])[1 + n % 20] AS first,
  (ARRAY['Allen', 'Borg', 'Cox', 'Dijkstra', 'Easley', 'Floyd', 'Goldberg', 'Hopper', 'Iverson',
    'Johnson', 'Knuth', 'Lamport', 'Moore'])[1 + n / 20 % 13] || ' ' || n AS last
FROM generate_series(1, current_setting('crowd.users')::bigint) AS n;

INSERT INTO neon_identity.users_sync (raw_json, id, name, email, created_at, updated_at, deleted_at)
SELECT
  jsonb_build_object(
    'id', id, 'display_name', first || ' ' || last, 'primary_email', lower(first) || n || '@example.com',
    'has_password', n % 3 = 0, 'profile_image_url', 'https://example.com/' || id || '.png',
    'client_metadata', jsonb_build_object('plan', 'pro', 'locale', 'en', 'seats', n % 9),
    'server_metadata', jsonb_build_object('customer', md5(id), 'campaign', 'spring', 'notes', repeat('-', 100))
  ),
  id,
  first || ' ' || last,
  lower(first) || n || '@example.com',
  now() - interval '1 year' * random(),
  now() - interval '1 week' * random(),
  CASE WHEN n % 100 = 1 THEN now() - interval '1 hour' END
FROM crowd WHERE n % 100 <> 0;

INSERT INTO neon_identity.users_sync (raw_json, id)
SELECT '{}', id FROM crowd WHERE n % 100 = 0;

INSERT INTO neon_identity.deliveries (received_at, event_id, event, user_id, outcome, lag_ms)
SELECT
  now() - interval '7 days' * (1 - n / (SELECT max(n) + 1.0 FROM crowd)),
  'msg_' || n,
  'user.updated',
  id,
  CASE n % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'rejected' WHEN 2 THEN 'created' WHEN 3 THEN 'stale' ELSE 'updated' END,
  200 + 1000 * random() * random()
FROM crowd;

INSERT INTO neon_identity.runs (started_at, finished_at, outcome, dry_run, listed, created, updated,
  unchanged, deleted, revived, rejected, held, pages, duration_ms)
SELECT
  now() - interval '7 days' * (1 - n / 400.0), now() - interval '7 days' * (1 - n / 400.0) + interval '1 minute',
  'complete', false, 1000, 1, 2, 997, 0, 0, 0, 0, 10, 60000
FROM generate_series(1, 400) AS n;

INSERT INTO neon_identity.repairs (run_id, at, user_id, change)
SELECT 1 + n % 400, now() - interval '7 days' * random(), id, 'updated' FROM crowd WHERE n % 20 = 0;

-- The newest are resolved: the open ones are the rest of an old trouble.
INSERT INTO neon_identity.rejections (rejected_at, source, event_id, reason, body, user_id, resolved_at)
SELECT
  now() - interval '7 days' * random(), 'delivery', 'msg_' || n, 'it has no id', convert_to(repeat('x', 500), 'UTF8'),
  id, CASE WHEN n > (SELECT max(n) / 10 FROM crowd) THEN now() END
FROM crowd WHERE n % 50 = 1;
