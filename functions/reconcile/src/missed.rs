//! Users whom a run had to create or tombstone, though a webhook should have told
//! of them: the log says so, and where to look.

use std::time::Duration;

use shared::client::Effort;
use shared::provider::Endpoint;
use shared::settle::Sources;
use shared::store::Closed;
use tokio::time::Instant;

/// For a question that nothing depends on.
const A_MOMENT: Duration = Duration::from_secs(3);

/// Says how many users were missed, and what is wrong with the webhooks as far as
/// the provider tells that.
pub(crate) async fn tell(sources: Sources<'_>, closed: Closed) {
    let missed = closed.missed;
    if missed == 0 {
        return;
    }
    let look = sources.provider.words().webhooks();
    if !closed.none_arrives {
        tracing::warn!(
            missed,
            look,
            "webhooks told of some users and not of others: those are missed in the table repairs"
        );
        return;
    }
    let found = ask(sources).await.as_deref().and_then(trouble);
    tracing::warn!(missed, look, found, "webhooks do not arrive");
}

/// Where the provider sends its webhooks, if it tells that to this key.
async fn ask(sources: Sources<'_>) -> Option<Vec<Endpoint>> {
    let provider = sources.provider;
    let request = provider.endpoints_request()?;
    let effort = Effort {
        until: Instant::now() + A_MOMENT,
        attempts: 1,
        attempt: A_MOMENT,
        size: 1 << 20,
    };
    let read = |answer: &_| provider.endpoints(answer);
    let asked = sources.client.ask(provider, &request, effort, read).await;
    asked
        .inspect_err(|error| tracing::debug!(%error, "the provider does not tell of its endpoints"))
        .ok()
}

/// Says what is wrong with these endpoints, if that can be told from here.
fn trouble(endpoints: &[Endpoint]) -> Option<String> {
    let of_users = || endpoints.iter().filter(|endpoint| endpoint.tells_of_users);
    let disabled: Vec<&str> = of_users()
        .filter(|endpoint| !endpoint.enabled)
        .map(|endpoint| endpoint.name.as_str())
        .collect();
    if !disabled.is_empty() {
        return Some(format!(
            "{}: disabled at the provider, enable it again",
            disabled.join(", ")
        ));
    }
    match of_users().next() {
        None => Some("no endpoint at the provider is subscribed to users' events".to_owned()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_endpoint_is_named_and_a_missing_one_is_said_to_be() {
        let endpoint = |name: &str, enabled, tells_of_users| Endpoint {
            name: name.to_owned(),
            enabled,
            tells_of_users,
        };
        let check = |endpoints: &[Endpoint], words: Option<&str>| {
            let found = trouble(endpoints);
            match words {
                None => assert_eq!(found, None),
                Some(words) => assert!(found.is_some_and(|found| found.contains(words))),
            }
        };
        check(&[endpoint("a", true, true)], None);
        check(&[], Some("no endpoint"));
        check(&[endpoint("a", true, false)], Some("no endpoint"));
        check(&[endpoint("a", false, false)], Some("no endpoint"));
        check(
            &[endpoint("a", true, true), endpoint("b", false, true)],
            Some("b: disabled"),
        );
    }
}
