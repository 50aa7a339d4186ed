//! Changes of users that tests and demos make.

use anyhow::{Context, Result};
use serde_json::Value;

use super::World;
use crate::simulator::users::{Found, View};
use crate::simulator::vendor::{Change, SignUp, User};

impl World {
    /// Adds `count` users that signed up long ago; nothing is told of them.
    pub fn seed(&self, count: u64) {
        self.state().users.seed(count);
    }

    /// Somebody signs up; answers their id.
    pub fn sign_up(&self, sign_up: SignUp) -> Result<String> {
        let effect = self.change(None, &Change::SignUp(sign_up))?;
        Ok(effect.id)
    }

    /// Somebody with this name and email signs up; answers their id.
    pub fn create(&self, name: &str, email: &str) -> Result<String> {
        self.sign_up(SignUp {
            name: Some(name.to_owned()),
            email: Some(email.to_owned()),
            ..SignUp::default()
        })
    }

    /// Somebody starts to use the application without signing up; answers their id.
    pub fn create_anonymous(&self) -> Result<String> {
        self.sign_up(SignUp {
            anonymous: true,
            ..SignUp::default()
        })
    }

    /// An anonymous user signs up with this name and email.
    pub fn anonymous_signs_up(&self, id: &str, name: &str, email: &str) -> Result<()> {
        let change = Change::AnonymousSignsUp {
            name: Some(name.to_owned()),
            email: Some(email.to_owned()),
        };
        self.happen(id, &change)
    }

    /// A user gets another display name, through the API.
    pub fn rename(&self, id: &str, name: &str) -> Result<()> {
        self.happen(id, &Change::Rename(Some(name.to_owned())))
    }

    /// The server updates these fields of a user, a JSON object, through the API.
    pub fn update(&self, id: &str, fields: &Value) -> Result<()> {
        let fields = serde_json::from_str(&fields.to_string()).context("read fields")?;
        self.happen(id, &Change::Update(fields))
    }

    /// A user gets other metadata, through the API.
    pub fn set_metadata(&self, id: &str, metadata: Value) -> Result<()> {
        self.happen(id, &Change::SetMetadata(metadata))
    }

    /// A user changes their primary email in their own account settings.
    pub fn change_email_via_contact_channel(&self, id: &str, email: &str) -> Result<()> {
        self.happen(id, &Change::ChangeEmail(email.to_owned()))
    }

    /// A user verifies their primary email.
    pub fn verify_email(&self, id: &str) -> Result<()> {
        self.happen(id, &Change::VerifyEmail)
    }

    /// A user connects an account at this OAuth provider.
    pub fn link_oauth(&self, id: &str, provider: &str) -> Result<()> {
        self.happen(id, &Change::LinkOauth(provider.to_owned()))
    }

    /// A user does something in the application.
    pub fn touch_activity(&self, id: &str) -> Result<()> {
        self.happen(id, &Change::TouchActivity)
    }

    /// A user is deleted.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.happen(id, &Change::Delete)
    }

    fn happen(&self, id: &str, change: &Change) -> Result<()> {
        self.change(Some(id), change)?;
        Ok(())
    }

    /// Shows this text in place of a user's profile, whatever it is, until the user next changes.
    /// Nothing is told about it.
    pub fn show_profile(&self, id: &str, profile: &str) -> Result<()> {
        let mut state = self.state();
        let now = self.0.clock.now();
        let vendor = self.vendor();
        let found = state
            .users
            .get(vendor, id, View::Now)
            .with_context(|| format!("no user {id}"))?;
        let (kept, memo, order) = match &found {
            Found::Seeded(user) => (
                vendor.seeded_profile(*user).into(),
                Value::Null,
                user.created_at(),
            ),
            Found::Kept(user) => (user.profile.clone(), user.memo.clone(), user.order),
        };
        let user = User {
            profile: kept,
            shown: Some(profile.into()),
            memo,
            reading: vendor.reading(profile),
            order,
        };
        state.users.put(vendor, id, user, now);
        Ok(())
    }
}
