-- The tables in which console keeps the findings of the last dry run, and how much happened in
-- stretches of time that are over, so that nothing is counted twice.

CREATE TABLE neon_identity.look (
  begun_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at  timestamptz,
  listed    bigint      NOT NULL DEFAULT 0,
  position  text,
  met       bytea,
  rejected  bigint      NOT NULL DEFAULT 0,
  nameless  bigint      NOT NULL DEFAULT 0,
  one       boolean     PRIMARY KEY DEFAULT true CHECK (one)
);
COMMENT ON TABLE neon_identity.look IS
  'The last dry run that a person has begun in console: its place until it has ended.';

CREATE TABLE neon_identity.differences (
  user_id text COLLATE "C" PRIMARY KEY,
  change  text NOT NULL CHECK (change IN ('create', 'update', 'delete', 'revive'))
);
COMMENT ON TABLE neon_identity.differences IS
  'Users whose rows were not as the provider had them, when that dry run saw them.';

CREATE TABLE neon_identity.activity (
  hours      integer     NOT NULL,
  begin      timestamptz NOT NULL,
  applied    bigint      NOT NULL,
  unchanged  bigint      NOT NULL,
  rejected   bigint      NOT NULL,
  failed     bigint      NOT NULL,
  lag_p50_ms bigint,
  lag_p95_ms bigint,
  repaired   bigint      NOT NULL,
  PRIMARY KEY (hours, begin)
);
COMMENT ON TABLE neon_identity.activity IS
  'Deliveries by outcome, their lag, and repairs, in stretches of so many hours that are over.';

CREATE INDEX rejections_open_id_idx ON neon_identity.rejections (id) WHERE resolved_at IS NULL;
