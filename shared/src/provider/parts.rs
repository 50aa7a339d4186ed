//! Parts that several adapters are made of.

mod event;
mod paging;

use serde_json::value::RawValue;

pub(super) use super::api::{Api, encoded};
pub(super) use event::{data, full_name, kind, statement_or_hint, user_in_data, with_version};
pub(super) use paging::{PageSize, Paging, walk};

use crate::exchange::{Answer, AnswerError};
use crate::json::{self, Unreadable};
use crate::listing::{Page, Place, Places};
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

/// Listed users, in an order by the `time` in `time_field`. Of each it is read
/// only what is asked for.
pub(super) struct Listed<'a> {
    pub(super) items: &'a [&'a RawValue],
    pub(super) id_field: &'static str,
    pub(super) time_field: &'static str,
    pub(super) time: fn(&json::Fields<'_>, &str) -> Option<At>,
}

impl Listed<'_> {
    /// Where all users stand; a user without an id has an empty one.
    pub(super) fn all_places(&self) -> Vec<Place> {
        let mut key = i64::MIN;
        let place = |item: &&RawValue| {
            let user = json::Fields::known(item.get()).ok();
            let at = user
                .as_ref()
                .and_then(|user| (self.time)(user, self.time_field));
            key = at.map_or(key, At::as_micros);
            let id = user.and_then(|user| storable_id(&user, self.id_field));
            Place {
                key,
                id: id.unwrap_or_default(),
            }
        };
        self.items.iter().map(place).collect()
    }

    /// What the listing orders its users by, as far as it can be read.
    pub(super) fn keys(&self) -> impl Iterator<Item = i64> {
        (0..self.count()).filter_map(|i| self.key(i))
    }
}

impl Places for Listed<'_> {
    fn count(&self) -> usize {
        self.items.len()
    }

    fn id(&self, i: usize) -> Option<String> {
        storable_id(
            &json::Fields::known(self.items[i].get()).ok()?,
            self.id_field,
        )
    }

    fn key(&self, i: usize) -> Option<i64> {
        let user = json::Fields::known(self.items[i].get()).ok()?;
        (self.time)(&user, self.time_field).map(At::as_micros)
    }
}

/// How many there are.
pub(super) fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// A page of these listed users, not said to be the last.
pub(super) fn page_of(items: &[&RawValue]) -> Page {
    Page {
        users: items.iter().map(|item| (*item).to_owned()).collect(),
        ..Page::default()
    }
}
