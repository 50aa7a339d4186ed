//! WorkOS AuthKit.

use serde_json::Value;

use super::{Field, Guide, Link, Proof, SELF_HOSTED, Wrong, text};

pub(super) const WORKOS: Guide = Guide {
    name: "workos",
    title: "WorkOS AuthKit",
    about: "one environment, staging or production",
    fields: &[
        Field {
            name: "api_key",
            label: "API key",
            hint: "Begins with sk_. On the page API keys of WorkOS' dashboard, for the environment \
                   that is chosen there.",
            hidden: true,
            optional: false,
        },
        SELF_HOSTED,
    ],
    proof: Proof::Signature,
    steps: &[
        "Open the page Webhooks of WorkOS' dashboard and create a webhook with this address.",
        "Tick these events.",
        "Copy the webhook's signing secret, and paste it below.",
    ],
    events: &["user.created", "user.updated", "user.deleted"],
    wrong,
    links,
    account: None,
};

fn wrong(settings: &Value) -> Option<Wrong> {
    let key = text(settings, "api_key");
    let problem = if key.starts_with("client_") {
        "This is a client ID. Paste the environment's API key (sk_…)."
    } else if key.starts_with("pk_") {
        "This is a publishable key. Paste the environment's API key (sk_…)."
    } else if key.starts_with("whsec_") {
        "This is the signing secret of a webhook. Paste the environment's API key (sk_…)."
    } else {
        return None;
    };
    Some(Wrong {
        field: "api_key",
        problem,
    })
}

fn links(_: &Value) -> Vec<Link> {
    vec![
        Link::new("Users", "https://dashboard.workos.com/users"),
        Link::new("Webhooks", "https://dashboard.workos.com/webhooks"),
        Link::new("Keys", "https://dashboard.workos.com/api-keys"),
        Link::new("SSO", "https://dashboard.workos.com/organizations"),
        Link::new(
            "Documentation",
            "https://workos.com/docs/events/data-syncing/webhooks",
        ),
    ]
}
