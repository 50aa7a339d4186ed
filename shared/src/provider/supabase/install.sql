-- Tells users-sync of every change to a user. Run it in the SQL editor of the
-- Supabase project, with the two values filled in:
--   WEBHOOK_URL    the Function URL of the function webhook
--   WEBHOOK_TOKEN  provider.webhook_token of its secret
-- Run it again to change them. To remove it:
--   DROP TRIGGER users_sync ON auth.users; DROP SCHEMA users_sync CASCADE;

CREATE EXTENSION IF NOT EXISTS pg_net;

-- A schema of its own: the ones that the API exposes are for everybody to call.
CREATE SCHEMA IF NOT EXISTS users_sync;
REVOKE ALL ON SCHEMA users_sync FROM PUBLIC;

CREATE OR REPLACE FUNCTION users_sync.tell() RETURNS trigger
LANGUAGE plpgsql
-- The role that changes a user might have no right to use pg_net.
SECURITY DEFINER
SET search_path = ''
AS $tell$
BEGIN
  -- The id alone: the row holds the password's hash and tokens.
  PERFORM net.http_post(
    url := 'WEBHOOK_URL',
    headers := jsonb_build_object(
      'Content-Type', 'application/json',
      'Authorization', 'Bearer WEBHOOK_TOKEN'
    ),
    body := jsonb_build_object(
      'type', TG_OP,
      'table', TG_TABLE_NAME,
      'schema', TG_TABLE_SCHEMA,
      'record', CASE WHEN TG_OP <> 'DELETE' THEN jsonb_build_object('id', NEW.id) END,
      'old_record', CASE WHEN TG_OP <> 'INSERT' THEN jsonb_build_object('id', OLD.id) END
    ),
    timeout_milliseconds := 5000
  );
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  -- A sign-up must not fail because of this; reconcile makes up for it.
  RAISE WARNING 'users-sync was not told: %', SQLERRM;
  RETURN NULL;
END
$tell$;
REVOKE ALL ON FUNCTION users_sync.tell() FROM PUBLIC;

CREATE OR REPLACE TRIGGER users_sync
AFTER INSERT OR UPDATE OR DELETE ON auth.users
FOR EACH ROW EXECUTE FUNCTION users_sync.tell();
