//! The part of a simulator that is one provider's own: its profiles, the changes of them, and the
//! events that these fire. It has no time, no network and no state: those are the core's.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::faults::RateLimit;
use super::people::Seeded;
use super::requests::Call;
use super::world::World;
use crate::sender::{self, Svix};

/// A simulated provider.
pub trait Vendor: Send + Sync + 'static {
    /// Its API, to be served at the root of the simulator's address.
    fn routes(&self, world: World) -> Router;

    /// Its API's address, on this origin.
    fn api_url(&self, origin: &str) -> String;

    /// The `provider` object of the functions' secret, for this origin.
    fn secret(&self, origin: &str) -> Value;

    /// How `console` is to reach the account that the project is one of, if there are accounts.
    fn account(&self, _origin: &str) -> Option<Access> {
        None
    }

    /// A new secret to sign deliveries with; none where they are not signed.
    fn signing_secret(&self, random: &mut fastrand::Rng) -> Option<String> {
        Some(Svix::secret(random))
    }

    /// How this provider sends to an endpoint, when the functions read this secret: the proof of
    /// where a delivery comes from, and the pace. Most have Svix send, with the secret's first
    /// signing secret.
    fn sending(&self, secret: &Value, endpoint: &str) -> anyhow::Result<sender::Options> {
        let signing = Svix::new(secret["signing_secrets"][0].as_str())?;
        Ok(sender::Options::new(signing, endpoint))
    }

    /// The kind of a request.
    fn call(&self, method: &Method, path: &str) -> Call;

    /// The body of a listing without a user and without a next page.
    fn empty_listing(&self) -> String;

    /// The refusal of one request too many.
    fn too_many_requests(&self) -> Refused;

    /// Over how many seconds requests are counted: the limit is so many times what it allows in
    /// one.
    fn limited_seconds(&self) -> i64 {
        1
    }

    /// The headers of every answer that tell of the rate limit: `remaining` requests are left until
    /// `reset`, in seconds since 1970.
    fn limit_headers(
        &self,
        _limit: RateLimit,
        _remaining: usize,
        _reset: i64,
    ) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Fields that a read shows and a listing leaves open, so that a row may have either.
    fn unlisted(&self) -> &'static [&'static str] {
        &[]
    }

    /// The id under which the provider's own record keeps an event, where there is a record.
    fn recorded_as(&self, _event: &Event) -> Option<String> {
        None
    }

    /// A profile as a table may keep it: without what opens other doors.
    fn kept(&self, profile: Arc<str>) -> Arc<str> {
        profile
    }

    /// A seeded user's id.
    fn seeded_id(&self, user: Seeded) -> String;

    /// The seeded user with this id, if it is the id of one.
    fn seeded_user(&self, seed: u64, id: &str) -> Option<Seeded>;

    /// A seeded user's profile, as JSON.
    fn seeded_profile(&self, user: Seeded) -> String;

    /// The [`Vendor::reading`] of a seeded user's profile, without making the profile.
    fn seeded_reading(&self, user: Seeded) -> Reading;

    /// Reads a profile. Profiles set by hand may be broken: a field that can't be read is left out.
    fn reading(&self, profile: &str) -> Reading;

    /// Makes a change: to a user that is there, or to none, which is how users sign up.
    fn change(
        &self,
        user: Option<Subject<'_>>,
        change: &Change,
        now: i64,
        random: &mut fastrand::Rng,
    ) -> Result<Effect, Refused>;
}

/// How an account is reached, with a token of the person's that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The token, as a person pastes it.
    pub token: String,
    /// The variables of `console` that lead it here.
    pub variables: Vec<(&'static str, String)>,
    /// The API's address, where a person types it.
    pub api_url: Option<String>,
}

/// The fields of a profile, in the words of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reading {
    /// The display name.
    pub name: Option<String>,
    /// The primary email.
    pub email: Option<String>,
    /// The sign-up, in milliseconds since 1970.
    pub created_at: Option<i64>,
    /// The provider's own version, in milliseconds since 1970, where it has one.
    pub updated_at: Option<i64>,
    /// How far the user has come.
    pub standing: Standing,
}

/// How far a user has come with signing up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A user like any other.
    #[default]
    Full,
    /// Signed up, but not let in yet or any more.
    Restricted,
    /// Not signed up.
    Anonymous,
    /// Deleted, though the provider goes on to show what is left.
    Deleted,
}

/// A user about to change.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its profile, as JSON.
    pub profile: &'a str,
    /// The notes that the vendor keeps beside the profile.
    pub memo: &'a Value,
}

/// Fields of a JSON object, each one's bytes as they came.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// Something that happens to a user at the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Somebody signs up in the application.
    SignUp(SignUp),
    /// The server creates a user through the API, with these fields.
    Create(Fields),
    /// The server updates these fields through the API.
    Update(Fields),
    /// A new display name, through the API.
    Rename(Option<String>),
    /// New metadata, through the API.
    SetMetadata(Value),
    /// The user changes their primary email in their own account settings.
    ChangeEmail(String),
    /// The user clicks the link in the verification email.
    VerifyEmail,
    /// The user connects an account at this OAuth provider.
    LinkOauth(String),
    /// An anonymous user signs up, with this name and email.
    AnonymousSignsUp {
        /// The display name.
        name: Option<String>,
        /// The primary email.
        email: Option<String>,
    },
    /// The user does something in the application.
    TouchActivity,
    /// Someone renames the team that the user has selected.
    RenameTeam(String),
    /// The time of sign-up moves by milliseconds, as it may shortly after.
    ShiftSignUp(i64),
    /// The user is deleted.
    Delete,
}

/// How somebody signs up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignUp {
    /// The id to get; none for a new one. Providers never use an id again, save some.
    pub id: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// The primary email.
    pub email: Option<String>,
    /// The OAuth provider that they sign up with, if they do.
    pub oauth: Option<String>,
    /// Whether they don't really sign up, but use the application without.
    pub anonymous: bool,
}

/// The effect of a change.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The user's id.
    pub id: String,
    /// How the user is now.
    pub after: After,
    /// The API's answer.
    pub answer: String,
    /// The events for subscribers, in the order in which the provider sends them.
    pub events: Vec<Event>,
}

/// How a user is after a change.
#[derive(Debug, Clone)]
pub enum After {
    /// There.
    Present {
        /// The profile, as JSON.
        profile: String,
        /// The notes that the vendor keeps beside the profile.
        memo: Value,
    },
    /// Gone.
    Gone,
}

/// An event for subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type, such as `user.created`.
    pub kind: String,
    /// The body to be delivered.
    pub body: String,
}

/// An answer that is an error.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// Headers, the content's type among them.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "refused with {}: {}", self.status, self.body)
    }
}

impl std::error::Error for Refused {}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A user that has been touched since it was seeded, or was never seeded.
#[derive(Debug)]
pub(super) struct User {
    /// The profile that the next change builds on.
    pub(super) profile: Arc<str>,
    /// The profile that is shown in its place, byte for byte, until the next change.
    pub(super) shown: Option<Arc<str>>,
    pub(super) memo: Value,
    pub(super) reading: Reading,
    /// Its place in the order of sign-ups.
    pub(super) order: i64,
}

impl User {
    /// Whether it is not only left over.
    pub(super) fn lives(&self) -> bool {
        self.reading.standing != Standing::Deleted
    }

    /// The profile as the API shows it.
    pub(super) fn text(&self) -> Arc<str> {
        self.shown.as_ref().unwrap_or(&self.profile).clone()
    }
}
