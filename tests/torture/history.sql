-- Every state that a row of users_sync was ever in, in the order of its writes.
CREATE SCHEMA torture;
CREATE TABLE torture.history (
  number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  id         text        NOT NULL,
  updated_at timestamptz,
  deleted_at timestamptz,
  name       text,
  email      text
);
CREATE FUNCTION torture.note() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
BEGIN
  INSERT INTO torture.history (id, updated_at, deleted_at, name, email)
  VALUES (new.id, new.updated_at, new.deleted_at, new.name, new.email);
  RETURN NULL;
END
$$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON neon_identity.users_sync
FOR EACH ROW EXECUTE FUNCTION torture.note();

-- Users that the application's own trigger refuses, or has refused.
CREATE TABLE torture.refusals (
  id     text    PRIMARY KEY,
  active boolean NOT NULL DEFAULT true
);
CREATE FUNCTION torture.refuse() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
BEGIN
  IF EXISTS (SELECT FROM torture.refusals WHERE refusals.id = new.id AND active) THEN
    RAISE EXCEPTION 'not this one';
  END IF;
  RETURN new;
END
$$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON neon_identity.users_sync
FOR EACH ROW EXECUTE FUNCTION torture.refuse();
