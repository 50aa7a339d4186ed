//! Auth0.

use serde_json::Value;

use super::{Field, Guide, Link, Proof, Wrong, is_plain, text};

pub(super) const AUTH0: Guide = Guide {
    name: "auth0",
    title: "Auth0",
    about: "one tenant, by a machine-to-machine application",
    fields: &[
        Field {
            name: "domain",
            label: "Domain",
            hint: "The tenant's own, like tenant.eu.auth0.com, not a custom one. On the \
                   application's settings page.",
            hidden: false,
            optional: false,
        },
        Field {
            name: "client_id",
            label: "Client ID",
            hint: "Of a machine-to-machine application that is authorized for the Auth0 \
                   Management API with read:users (to create and change users from here: \
                   create:users, update:users and delete:users; to have the stream made: \
                   read:event_streams, create:event_streams and update:event_streams).",
            hidden: false,
            optional: false,
        },
        Field {
            name: "client_secret",
            label: "Client secret",
            hint: "Of the same application.",
            hidden: true,
            optional: false,
        },
        Field {
            name: "api_url",
            label: "API address",
            hint: "Leave it empty, unless the tenant is reached at another address.",
            hidden: false,
            optional: true,
        },
    ],
    proof: Proof::Token,
    steps: &[
        "Open the page Event Streams of Auth0's dashboard, create a stream of the type Webhook, \
         and give it this address.",
        "Choose these events.",
        "As the authorization method choose Bearer, and paste the token that is shown here.",
        "Switch the stream on.",
    ],
    events: &["user.created", "user.updated", "user.deleted"],
    wrong,
    links,
    account: None,
};

fn wrong(settings: &Value) -> Option<Wrong> {
    let domain = text(settings, "domain");
    let (id, secret) = (text(settings, "client_id"), text(settings, "client_secret"));
    if domain.contains("manage.auth0.com") {
        return Some(Wrong {
            field: "domain",
            problem: "This is the address of Auth0's dashboard. Paste the tenant's domain, like \
                      tenant.eu.auth0.com.",
        });
    }
    if !id.is_empty() && id == secret {
        return Some(Wrong {
            field: "client_secret",
            problem: "This is the client ID once more. Paste the client secret.",
        });
    }
    if secret.starts_with("eyJ") {
        return Some(Wrong {
            field: "client_secret",
            problem: "This is an access token, which ends within a day. Paste the client secret.",
        });
    }
    None
}

/// The dashboard's address has the tenant's region, which its domain tells.
fn links(settings: &Value) -> Vec<Link> {
    let mut links = vec![Link::new(
        "Documentation",
        "https://auth0.com/docs/customize/events",
    )];
    let domain = text(settings, "domain").trim_start_matches("https://");
    let Some(labels) = domain.strip_suffix(".auth0.com") else {
        return links;
    };
    let (tenant, region) = labels.split_once('.').unwrap_or((labels, "us"));
    if is_plain(tenant) && is_plain(region) {
        let page = |title, path| {
            let url = format!("https://manage.auth0.com/dashboard/{region}/{tenant}/{path}");
            Link::new(title, url)
        };
        links.splice(
            0..0,
            [
                page("Users", "users"),
                page("Event streams", "event-streams"),
                page("Keys", "applications"),
                page("SSO", "connections/enterprise"),
            ],
        );
    }
    links
}
