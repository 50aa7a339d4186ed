//! Parts that several adapters are made of.

mod event;
mod paging;

use std::borrow::Cow;

use serde_json::value::RawValue;

pub(super) use super::api::{Api, encoded};
pub(super) use event::{data, full_name, kind, statement_or_hint, user_in_data, with_version};
pub(super) use paging::{PageSize, Paging, walk};

use crate::exchange::{Answer, AnswerError};
use crate::json::{self, Unreadable};
use crate::listing::{Page, Place, Rejected};
use crate::profile::{Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::BearerToken;
use crate::time::At;

/// The token that deliveries carry where the provider signs nothing: one that no
/// header can carry would refuse every delivery.
pub(super) fn webhook_token(settings: &mut Settings) -> Result<BearerToken, Misconfigured> {
    let token = settings.required("webhook_token")?;
    settings.header("webhook_token", &token)?;
    Ok(BearerToken::new(&token))
}

/// Reads the answer to a request for the user `id`; `id_field` names the field
/// that holds the id.
pub(super) fn read_user(
    id: &UserId,
    id_field: &str,
    answer: &Answer,
    profile: impl Fn(&str) -> Result<Profile, Unreadable>,
) -> Result<Profile, AnswerError> {
    let raw = &answer.text();
    let user = match json::Fields::of(raw) {
        Ok(user) => user,
        Err(unreadable) => {
            return Err(match serde_json::from_str::<&RawValue>(raw) {
                Ok(_) => AnswerError::Unreadable(unreadable),
                Err(_) => AnswerError::Garbled("the answer is not JSON, or half of it"),
            });
        }
    };
    match user.string(id_field) {
        Some(named) if named == id.as_str() => profile(raw).map_err(AnswerError::Unreadable),
        // Servers accept a UUID in upper case, but never give one out.
        Some(named) if named.eq_ignore_ascii_case(id.as_str()) => Err(AnswerError::NoSuchId),
        Some(named) if UserId::new(named.as_str()).is_ok() => {
            Err(AnswerError::Garbled("the answer is not this user"))
        }
        // A user without a valid id can't be stored, from a read or from a
        // listing, and asking again does not help.
        _ => Err(AnswerError::Unreadable(profile(raw).err().unwrap_or(
            Unreadable("the user has no id, or one that is not a string"),
        ))),
    }
}

/// The user's id, if it can be stored and asked for.
pub(super) fn id_of(raw: &str, id_field: &str) -> Option<String> {
    storable_id(&json::Fields::of(raw).ok()?, id_field)
}

fn storable_id(user: &json::Fields<'_>, id_field: &str) -> Option<String> {
    let id = user.string(id_field)?;
    UserId::new(id.as_str()).is_ok().then_some(id)
}

/// Where listed users stand in an order by the `time` in `time_field`; `None` for a user without an
/// id.
pub(super) fn places(
    items: &[&RawValue],
    id_field: &str,
    time_field: &str,
    time: impl Fn(&json::Fields<'_>, &str) -> Option<At>,
) -> Vec<Option<Place>> {
    let places = places_of_all(items, id_field, time_field, time);
    let named = |place: &Place| !place.id.is_empty();
    places
        .into_iter()
        .map(|place| Some(place).filter(named))
        .collect()
}

/// The same, where a user without an id has an empty one, and a user without a
/// time stands with the user before.
pub(super) fn places_of_all(
    items: &[&RawValue],
    id_field: &str,
    time_field: &str,
    time: impl Fn(&json::Fields<'_>, &str) -> Option<At>,
) -> Vec<Place> {
    let mut key = i64::MIN;
    let place = |item: &&RawValue| {
        // Every user of the page is read here: no more of each than it takes.
        let user = json::Fields::only(item.get(), &[id_field, time_field]).ok();
        let at = user.as_ref().and_then(|user| time(user, time_field));
        key = at.map_or(key, At::as_micros);
        let id = user.and_then(|user| storable_id(&user, id_field));
        Place {
            key,
            id: id.unwrap_or_default(),
        }
    };
    items.iter().map(place).collect()
}

/// How many there are.
pub(super) fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// A page of these listed users, not said to be the last. `raw_of` gives what
/// may be kept of a user who can't be stored.
pub(super) fn page_of<'a>(
    items: &[&'a RawValue],
    id_field: &str,
    profile: impl Fn(&str) -> Result<Profile, Unreadable>,
    raw_of: impl Fn(&'a str) -> Cow<'a, str>,
) -> Page {
    let mut page = Page::default();
    for item in items {
        match profile(item.get()) {
            Ok(profile) => page.profiles.push(profile),
            Err(reason) => page.rejected.push(Rejected {
                id: id_of(item.get(), id_field).and_then(|id| UserId::new(id).ok()),
                reason: reason.to_string(),
                body: raw_of(item.get()).into_owned(),
            }),
        }
    }
    page
}
