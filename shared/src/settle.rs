//! In doubt, settle: look at the row, wait until no replica of the provider's
//! can be older than the look, read the user, and write if the row is as it was.
//!
//! Invariant: a read that [`Sources::reread`] gives shows a state that the
//! provider had after the look at the row that comes with it, because the read
//! is sent only when the longest time has passed that a replica may lag.

use futures_util::stream::{self, Stream, StreamExt};
use http::{StatusCode, header};
use tokio::time::sleep;

use crate::client::{Client, Effort, Unanswered};
use crate::exchange::{Answer, AnswerError};
use crate::profile::{Profile, UserId};
use crate::provider::{Provider, Told};
use crate::store::{
    Authority, Look, Outcome, Project, ProjectStore, SettleOptions, Store, StoreError,
};

/// Reads under way at once; the slowest plan allows a few requests a second.
const AT_ONCE: usize = 8;

/// The places where a user can be looked up: the table and the provider.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The table.
    pub store: &'a Store,
    /// The provider's adapter.
    pub provider: &'a dyn Provider,
    /// The way to the provider.
    pub client: &'a Client,
}

/// The provider's answer about one user.
#[derive(Debug)]
pub enum Read {
    /// The user.
    User(Profile),
    /// It has no such user.
    NoSuchUser,
    /// It says that no user can have this id.
    NoSuchId,
    /// It has the user, but the profile can't be stored; with the reason.
    Unreadable(String),
}

impl Read {
    /// Tells answers that would be the same again from those that might not.
    fn of(answer: Result<Option<Profile>, Unanswered>) -> Result<Self, Unanswered> {
        match answer {
            Ok(Some(profile)) => Ok(Self::User(profile)),
            Ok(None) => Ok(Self::NoSuchUser),
            Err(Unanswered::Misread(AnswerError::NoSuchId)) => Ok(Self::NoSuchId),
            Err(
                unreadable @ (Unanswered::TooLarge(_)
                | Unanswered::Misread(AnswerError::Unreadable(_))),
            ) => Ok(Self::Unreadable(unreadable.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// A user who was read after a look at the row.
pub struct Reread {
    /// The row, before the read was sent.
    pub look: Look,
    /// The provider's answer.
    pub read: Result<Read, Unanswered>,
}

/// The outcome of deletions.
pub struct Tombstoned {
    /// Users who are marked as deleted now.
    pub written: Vec<UserId>,
    /// Users whose rows were not written, although they have not changed since the
    /// look.
    pub dropped: Vec<UserId>,
}

impl<'a> Sources<'a> {
    /// Reads a user.
    pub async fn read(self, id: &UserId, effort: Effort) -> Result<Read, Unanswered> {
        Read::of(self.ask_for(id, effort).await)
    }

    /// Asks for a user; `None` if the provider itself says that it has none.
    pub async fn ask_for(self, id: &UserId, effort: Effort) -> Result<Option<Profile>, Unanswered> {
        let request = self.provider.user_request(id);
        let read = |answer: &_| self.provider.user(id, answer);
        self.client.ask(self.provider, &request, effort, read).await
    }

    /// Learns which project the key is for, and gives that project's store. If
    /// the secret doesn't name the project, the provider is asked: one request,
    /// by which a key that is another project's is noticed before anything is
    /// written.
    ///
    /// Where the provider gives no name (a server without that address, a
    /// proxy's page, a key that is allowed to list users and not this), the
    /// key's fingerprint is the name. A schema that is bound to a real name then
    /// takes nothing, so a failure that passes does no harm.
    pub async fn identify(self, effort: Effort) -> Result<ProjectStore, Unanswered> {
        let project = match Project::of_secret(self.provider.facts()) {
            Some(project) => project,
            None => self.ask_for_project(effort).await?,
        };
        Ok(self.store.of(project))
    }

    async fn ask_for_project(self, effort: Effort) -> Result<Project, Unanswered> {
        let Some(request) = self.provider.project_request() else {
            return Err(AnswerError::Garbled(
                "neither the secret nor the provider names the key's project",
            )
            .into());
        };
        let Some(key) = request.headers().get(header::AUTHORIZATION) else {
            return Err(
                AnswerError::Garbled("the request for the key's project has no key").into(),
            );
        };
        let read = |answer: &Answer| match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.provider.project(answer),
            status if status.is_success() => self.provider.project(answer),
            // This is a proxy's answer: it names nothing, but the next one may.
            status if status.is_redirection() => Err(AnswerError::Garbled(
                "the request for the key's project is redirected",
            )),
            _ => Ok(None),
        };
        let asked = self.client.ask(self.provider, &request, effort, read).await;
        let project = match asked {
            Err(refused @ Unanswered::Misread(AnswerError::Refused(_))) => {
                self.try_listing(effort, refused).await?;
                None
            }
            asked => asked?,
        };
        if project.is_none() {
            tracing::warn!(
                "the provider does not say which project the key is for, so the key's fingerprint stands for it"
            );
        }
        Ok(Project::asked_for(project, key.as_bytes()))
    }

    /// Lists a few users, because a key that is allowed to do so need not be allowed
    /// to learn its project. If it can't list users either, it was `refused` for good.
    async fn try_listing(self, effort: Effort, refused: Unanswered) -> Result<(), Unanswered> {
        let mut listing = self.provider.listing(None);
        while listing.shrink() {}
        let request = listing.request();
        let read = |answer: &Answer| listing.read(answer);
        match self.client.ask(self.provider, &request, effort, read).await {
            Ok(_) => Ok(()),
            Err(Unanswered::Misread(AnswerError::Refused(_))) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// Looks at the rows, waits until no replica can be older than that look,
    /// and reads.
    pub async fn reread(
        self,
        ids: &[UserId],
        effort: Effort,
    ) -> Result<impl Stream<Item = Reread> + use<'a>, StoreError> {
        let looks = self.store.look(ids).await?;
        sleep(self.provider.facts().staleness).await;
        let reads = stream::iter(looks).map(move |look| async move {
            let read = self.read(&look.id, effort).await;
            Reread { look, read }
        });
        Ok(reads.buffer_unordered(AT_ONCE))
    }

    /// Takes in a profile that was read after `look`, as
    /// [`ProjectStore::settle_present`] does. A row's version falls only where a
    /// person has set it: the row then tells another one than its own profile.
    pub async fn settle_present(
        self,
        store: &ProjectStore,
        look: &Look,
        profile: &Profile,
        options: SettleOptions,
    ) -> Result<Option<Outcome>, StoreError> {
        let settled = store.settle_present(look, profile, options);
        match settled.await? {
            Some(Outcome::Stale) if self.is_edited(look, profile).await? => {
                let settled = store.settle_edited(look, profile, options);
                settled.await
            }
            settled => Ok(settled),
        }
    }

    /// Marks users as deleted that the provider did not have when it was asked
    /// after these looks, as [`ProjectStore::settle_gone`] does.
    pub async fn settle_gone(
        self,
        store: &ProjectStore,
        looks: &[Look],
        authority: Authority<'_>,
    ) -> Result<Tombstoned, StoreError> {
        let written = store.settle_gone(looks, authority).await?;
        let left = looks.iter().filter(|look| !written.contains(&look.id));
        let left: Vec<_> = left.cloned().collect();
        let dropped = match left.as_slice() {
            [] => Vec::new(),
            left => store.unmoved(left).await?,
        };
        Ok(Tombstoned { written, dropped })
    }

    /// Whether the row's version is another than its profile's; `read`: the same
    /// user, as it would be stored.
    async fn is_edited(self, look: &Look, read: &Profile) -> Result<bool, StoreError> {
        let version = |raw: &str| {
            let profile = self.provider.profile(raw).ok()?;
            profile.version.filter(|_| profile.id == look.id)
        };
        // The secret redacts the version, so no stored profile has one.
        if version(&read.raw_json).is_none() {
            return Ok(false);
        }
        Ok(match self.store.kept(look).await? {
            // The provider can't have sent a profile without a version.
            Some((raw_json, updated_at)) => version(&raw_json) != Some(updated_at),
            None => false,
        })
    }
}

/// Whether a read contradicts the event that caused it: either the user has
/// changed again since, or the read came from a replica that lags.
pub fn contradicts(told: &Told, read: Option<&Profile>) -> bool {
    match (told, read) {
        (Told::Exists { .. }, None) | (Told::Deleted, Some(_)) => true,
        (Told::Deleted, None) => false,
        (
            Told::Exists {
                profile,
                filled_in_later,
            },
            Some(read),
        ) => profile
            .as_ref()
            .is_some_and(|told| !read.shows(told, filled_in_later)),
    }
}
