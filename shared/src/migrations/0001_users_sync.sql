-- The table that applications join, and the sync's own books beside it.

CREATE SCHEMA IF NOT EXISTS neon_identity;

-- Which of these files have run.
CREATE TABLE neon_identity.migrations (
  version    integer     PRIMARY KEY,
  name       text        NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Neon's own table, column for column.
CREATE TABLE neon_identity.users_sync (
  raw_json   jsonb NOT NULL,
  id         text  PRIMARY KEY,
  name       text,
  email      text,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz
);
CREATE INDEX users_sync_deleted_at_idx ON neon_identity.users_sync (deleted_at);

COMMENT ON TABLE neon_identity.users_sync IS
  'Users of the auth provider, kept by users-sync. Join it, reference its id; do not write to it.';
COMMENT ON COLUMN neon_identity.users_sync.raw_json IS
  'The provider''s profile as it sent it; {} while none has arrived.';
COMMENT ON COLUMN neon_identity.users_sync.updated_at IS
  'Version: the provider''s own time where it has one, else when the provider was asked. NULL: no profile has arrived.';
COMMENT ON COLUMN neon_identity.users_sync.deleted_at IS
  'When the provider deleted the user. The row stays.';

-- What was signed, or listed, and could not be stored.
CREATE TABLE neon_identity.rejections (
  id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  source      text        NOT NULL CHECK (source IN ('delivery', 'listing')),
  event_id    text        NOT NULL,
  reason      text        NOT NULL,
  body        bytea       NOT NULL,
  user_id     text,
  resolved_at timestamptz,
  UNIQUE (source, event_id)
);

-- The one project whose users live here.
CREATE TABLE neon_identity.connection (
  provider     text        NOT NULL,
  project      text        NOT NULL,
  connected_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX connection_is_one_idx ON neon_identity.connection ((true));

-- One row a reconcile, whatever became of it.
CREATE TABLE neon_identity.runs (
  id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  outcome     text CHECK (outcome IN ('complete', 'partial', 'busy', 'held', 'failed')),
  dry_run     boolean     NOT NULL,
  listed      bigint,
  created     bigint,
  updated     bigint,
  unchanged   bigint,
  deleted     bigint,
  revived     bigint,
  rejected    bigint,
  held        bigint,
  pages       bigint,
  duration_ms bigint,
  error       text
);

-- Who walks the listing now, and where a walk that ran out of time goes on.
CREATE TABLE neon_identity.walk (
  run_id      bigint,
  lease_until timestamptz,
  begun_at    timestamptz,
  position    text,
  met         bytea
);
CREATE UNIQUE INDEX walk_is_one_idx ON neon_identity.walk ((true));
INSERT INTO neon_identity.walk DEFAULT VALUES;

-- For an application that refers to a user before their profile has arrived.
CREATE FUNCTION neon_identity.ensure_user(id text) RETURNS text
LANGUAGE plpgsql
-- The caller needs no right to write the table.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- As in the crate's UserId: an empty or endless id is nobody's.
  IF octet_length(ensure_user.id) BETWEEN 1 AND 1024 THEN
    INSERT INTO neon_identity.users_sync (raw_json, id)
    VALUES ('{}', ensure_user.id)
    ON CONFLICT DO NOTHING;
    RETURN ensure_user.id;
  END IF;
  RAISE EXCEPTION 'a user''s id has 1 to 1024 bytes' USING ERRCODE = 'invalid_parameter_value';
END
$$;
COMMENT ON FUNCTION neon_identity.ensure_user(text) IS
  'Makes a placeholder for a user whose profile has not arrived yet, and gives back the id.';
REVOKE ALL ON FUNCTION neon_identity.ensure_user(text) FROM PUBLIC;
