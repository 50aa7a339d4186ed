//! The rows of `auth.users` that the database's webhooks tell.

use serde_json::{Value, json};

use super::Supabase;
use crate::simulator::json::{fields, filled, get};
use crate::simulator::vendor::{Event, Fields};

/// One change of the table.
pub(super) fn event(
    project: &Supabase,
    kind: &str,
    new: Option<&Fields>,
    old: Option<&Fields>,
) -> Event {
    let row = |user: Option<&Fields>| user.map(|user| row(project, user));
    let body = json!({
        "type": kind,
        "table": "users",
        "schema": "auth",
        "record": row(new),
        "old_record": row(old),
    });
    Event {
        kind: kind.to_owned(),
        body: body.to_string(),
    }
}

fn row(project: &Supabase, user: &Fields) -> Value {
    let text = |name| get::<String>(user, name);
    if !project.whole_rows {
        return json!({ "id": text("id") });
    }
    let time = |name| text(name).map(|at| at.replace('Z', "+00:00"));
    let object = |name| get::<Value>(user, name);
    let anonymous = object("is_anonymous");
    json!({
        "id": text("id"),
        "instance_id": "00000000-0000-0000-0000-000000000000",
        "aud": text("aud"),
        "role": text("role"),
        "email": filled(user, "email"),
        "phone": filled(user, "phone"),
        "encrypted_password": "$2a$10$SimulatedPasswordHashThatNobodyMayKeepAnywhereAtAll",
        "confirmation_token": "simulated-confirmation-token",
        "recovery_token": "",
        "email_confirmed_at": time("email_confirmed_at"),
        "last_sign_in_at": time("last_sign_in_at"),
        "raw_app_meta_data": object("app_metadata"),
        "raw_user_meta_data": object("user_metadata"),
        "created_at": time("created_at"),
        "updated_at": time("updated_at"),
        "banned_until": time("banned_until"),
        "deleted_at": time("deleted_at"),
        "is_sso_user": false,
        "is_anonymous": anonymous,
    })
}

/// The row that a profile stands in.
pub(super) fn of(profile: &str) -> Fields {
    fields(profile)
}
