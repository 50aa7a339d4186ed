//! The connected provider, as the pages show it.

use super::guide::{self, Link};
use crate::fault::Fault;
use crate::visit::Visit;

/// The provider that is connected.
pub(crate) struct Connected {
    /// As in the secret's `provider.name`.
    pub(crate) name: &'static str,
    /// As people know it.
    pub(crate) title: &'static str,
    /// The project that the schema is bound to.
    pub(crate) project: Option<String>,
    /// The provider's own pages.
    pub(crate) links: Vec<Link>,
}

/// The provider that is connected, if one is.
pub(crate) async fn connected(visit: &Visit<'_>) -> Result<Option<Connected>, Fault> {
    if visit.access().is_none() {
        return Ok(None);
    }
    let settings = visit.connected.opened.provider_settings();
    let guide = settings["name"].as_str().and_then(guide::of);
    let overview = visit.desk().overview().await;
    let bound = overview.ok().and_then(|overview| overview.bound);
    Ok(guide.map(|guide| Connected {
        name: guide.name,
        title: guide.title,
        project: bound.map(|bound| bound.project),
        links: (guide.links)(&settings),
    }))
}
