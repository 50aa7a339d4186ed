//! The parts of an event that all adapters read alike.

use crate::json::{Fields, Unreadable};
use crate::profile::{Columns, Observation, Profile, UserId};
use crate::provider::{Event, Told};
use crate::time::At;

use super::id_of;

/// The event's type, from its field `field`.
pub(crate) fn kind(event: &Fields<'_>, field: &str) -> Result<String, Unreadable> {
    let kind = event.string(field);
    kind.ok_or(Unreadable("the event has no type"))
}

/// The object that the event is about, as JSON text.
pub(crate) fn data<'a>(event: &Fields<'a>) -> Result<&'a str, Unreadable> {
    event.get("data").ok_or(Unreadable("the event has no data"))
}

/// The user in an event's field `data`.
pub(crate) fn user_in_data(body: &[u8]) -> Option<UserId> {
    let envelope = Fields::of_bytes(body).ok()?;
    UserId::new(id_of(envelope.get("data")?, "id")?).ok()
}

/// The event of a provider whose profiles have versions. It is a statement, or
/// only a hint if its version or its time is missing. `columns` reads a profile's
/// columns, `deleted_at` when a deletion happened.
pub(crate) fn statement_or_hint(
    event: &Fields<'_>,
    kind: &str,
    columns: fn(&Fields<'_>) -> Columns,
    deleted_at: fn(&Fields<'_>) -> Option<At>,
) -> Result<Event, Unreadable> {
    if !matches!(kind, "user.created" | "user.updated" | "user.deleted") {
        return Ok(Event::OfNoUser);
    }
    let profile = Profile::of_known(data(event)?, columns)?;
    let id = profile.id.clone();
    if kind == "user.deleted" {
        // The user's own version is older than the deletion.
        return Ok(match deleted_at(event) {
            Some(at) => Event::Statement(Observation::Gone { id, at }),
            None => Event::Hint {
                id,
                told: Told::Deleted,
            },
        });
    }
    Ok(match profile.version {
        Some(at) => Event::Statement(Observation::Present { profile, at }),
        None => Event::Hint {
            id,
            told: Told::exists(),
        },
    })
}

/// The profile in an answer, which must have a version.
pub(crate) fn with_version(profile: Profile) -> Result<Profile, Unreadable> {
    match profile.version {
        Some(_) => Ok(profile),
        None => Err(Unreadable("the user has no updated_at")),
    }
}

/// The first and the last name, as far as the user has them.
pub(crate) fn full_name(user: &Fields<'_>) -> Option<String> {
    let names = ["first_name", "last_name"].map(|key| user.text(key));
    let names: Vec<_> = names.iter().flatten().map(|name| name.trim()).collect();
    (!names.is_empty()).then(|| names.join(" "))
}
