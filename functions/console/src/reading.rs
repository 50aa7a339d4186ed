//! One user is asked for at the provider: to be compared with the row, or to be
//! taken in.

use std::time::Duration;

use futures_util::StreamExt;
use shared::client::Effort;
use shared::profile::{Profile, UserId};
use shared::settle::{Read, Reread};
use shared::store::{Authority, Origin, SettleOptions, StoreError};
use tokio::time::Instant;

use crate::fault::{Fault, sentence};
use crate::visit::Visit;

/// Bytes that one user may have.
const LARGEST: usize = 8 << 20;

/// A person waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// The outcome of reading a user and taking them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The row is as the provider has the user.
    InSync,
    /// The provider has no such user, and the row says so.
    Gone,
    /// A delivery or a run was quicker.
    Overtaken,
}

fn effort(visit: &Visit<'_>) -> Effort {
    Effort {
        until: visit.until.min(Instant::now() + PATIENCE),
        attempts: 3,
        attempt: Duration::from_secs(8),
        size: LARGEST,
    }
}

/// An id that a user can have.
pub(crate) fn id(given: Option<&str>) -> Result<UserId, Fault> {
    UserId::new(given.unwrap_or_default())
        .map_err(|_| Fault::not_found("No user can have this id."))
}

/// The user as the provider shows them now; `None`: it has no such user.
pub(crate) async fn ask(visit: &Visit<'_>, id: &UserId) -> Result<Option<Profile>, Fault> {
    let store = visit.store()?;
    match visit.sources(&store)?.read(id, effort(visit)).await? {
        Read::User(profile) => Ok(Some(profile)),
        Read::NoSuchUser | Read::NoSuchId => Ok(None),
        Read::Unreadable(reason) => Err(unreadable(&reason)),
    }
}

/// Reads a user after a look at the row, and takes in what the provider says.
pub(crate) async fn take_in(visit: &Visit<'_>, id: &UserId) -> Result<Taken, Fault> {
    let store = visit.store()?;
    let sources = visit.sources(&store)?;
    let identified = sources.identify(effort(visit)).await?;
    let ids = [id.clone()];
    let mut reads = sources.reread(&ids, effort(visit)).await?;
    let Some(Reread { look, read }) = reads.next().await else {
        return Err(StoreError::Garbled.into());
    };
    match read? {
        Read::User(profile) => {
            let options = SettleOptions {
                origin: Origin::Delivery,
                revive: true,
            };
            let settled = sources.settle_present(&identified, &look, &profile, options);
            Ok(match settled.await? {
                Some(_) => Taken::InSync,
                None => Taken::Overtaken,
            })
        }
        Read::NoSuchUser | Read::NoSuchId => {
            let looks = [look];
            let gone = sources.settle_gone(&identified, &looks, Authority::Delivery);
            let gone = gone.await?;
            match (gone.written.is_empty(), gone.dropped.is_empty()) {
                (_, false) => Err(StoreError::Unstorable(shared::store::DROPPED.to_owned()).into()),
                (false, _) => Ok(Taken::Gone),
                (true, true) => Ok(Taken::Overtaken),
            }
        }
        Read::Unreadable(reason) => Err(unreadable(&reason)),
    }
}

fn unreadable(reason: &str) -> Fault {
    Fault::unavailable(sentence(&format!(
        "the provider has this user, who can't be stored: {reason}"
    )))
}
