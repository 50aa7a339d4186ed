//! Grounds to play on, each used again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tests::postgres::Postgres;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use crate::ground::Ground;
use crate::play::{Played, play};
use crate::provider::Provider;
use crate::schedule::{Schedule, Site};

/// How long a schedule may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(600);

/// Servers beside the shared one.
const OWN_SERVERS: usize = 3;

/// Grounds that nobody plays on right now.
pub(crate) struct Grounds {
    shared: OnceCell<Arc<Postgres>>,
    free: Mutex<Vec<(String, Site, Ground)>>,
    own_servers: Semaphore,
}

impl Grounds {
    /// None yet: they are made when they are needed.
    pub(crate) fn new() -> Self {
        Self {
            shared: OnceCell::new(),
            free: Mutex::default(),
            own_servers: Semaphore::new(OWN_SERVERS),
        }
    }

    /// Plays a schedule on a ground that suits it.
    pub(crate) async fn play(&self, schedule: &Schedule, provider: &Provider) -> Result<Played> {
        let _permit = match schedule.site {
            Site::Shared => None,
            _ => Some(self.own_servers.acquire().await?),
        };
        let mut ground = match self.free(provider, schedule.site) {
            Some(ground) => ground,
            None => self.make(provider, schedule.site).await?,
        };
        let played = timeout(LIMIT, play(schedule, provider, &mut ground)).await;
        let played = played.context("the schedule does not end")??;
        // A schedule that fails may leave anything on its ground, which is not used again.
        if played.problems.is_empty() {
            self.give_back(provider, schedule.site, ground);
        }
        Ok(played)
    }

    fn free(&self, provider: &Provider, site: Site) -> Option<Ground> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let suits =
            |(name, kind, _): &(String, Site, Ground)| *name == provider.name && *kind == site;
        let at = free.iter().position(suits)?;
        Some(free.swap_remove(at).2)
    }

    fn give_back(&self, provider: &Provider, site: Site, ground: Ground) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |(_, site, _): &(String, Site, Ground)| *site != Site::Shared;
        if site != Site::Shared && free.iter().filter(|ground| own(ground)).count() >= OWN_SERVERS {
            let at = free.iter().position(own);
            drop(at.map(|at| free.swap_remove(at)));
        }
        free.push((provider.name.clone(), site, ground));
    }

    async fn make(&self, provider: &Provider, site: Site) -> Result<Ground> {
        let server = match site {
            Site::Shared => self.shared.get_or_try_init(Ground::server).await?.clone(),
            _ => Ground::server().await?,
        };
        let ground = Ground::on(server, provider, site).await;
        ground.context("prepare a ground")
    }
}
