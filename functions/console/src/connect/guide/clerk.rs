//! Clerk.

use serde_json::Value;

use super::{Account, Field, Guide, Link, Proof, SELF_HOSTED, Wrong, text};

pub(super) const CLERK: Guide = Guide {
    name: "clerk",
    title: "Clerk",
    about: "one instance, development or production",
    fields: &[
        Field {
            name: "secret_key",
            label: "Secret key",
            hint: "Begins with sk_test_ or sk_live_. On the page API keys of Clerk's dashboard.",
            hidden: true,
            optional: false,
        },
        SELF_HOSTED,
    ],
    proof: Proof::Signature,
    steps: &[
        "Open the page Webhooks of Clerk's dashboard and add an endpoint with this address.",
        "Tick these events.",
        "Open the endpoint that was made, copy its signing secret, and paste it below.",
    ],
    events: &["user.created", "user.updated", "user.deleted"],
    wrong,
    links,
    account: Some(&ACCOUNT),
};

const ACCOUNT: Account = Account {
    one: "instance",
    many: "applications",
    token: Field {
        name: "access_token",
        label: "Access token",
        hint: "A key of your workspace for Clerk’s Platform API, which begins with ak_. The API is \
               a private beta: Clerk turns it on for a workspace that asks for it.",
        hidden: true,
        optional: false,
    },
    address: None,
    lists: true,
    regions: &[],
    orders: None,
    made: "It gets a development instance, which is connected.",
    wrong: |token| {
        ["sk_", "pk_", "whsec_"]
            .iter()
            .any(|begin| token.starts_with(begin))
            .then_some(
                "This is a key of one instance. Paste an access token of your workspace (ak_…), \
                 or go back and paste the key there.",
            )
    },
};

fn wrong(settings: &Value) -> Option<Wrong> {
    let key = text(settings, "secret_key");
    let problem = if key.starts_with("pk_") {
        "This is a publishable key, which may not read users. Paste the secret key (sk_test_… or \
         sk_live_…)."
    } else if key.starts_with("whsec_") {
        "This is the signing secret of a webhook. Paste the secret key (sk_test_… or sk_live_…)."
    } else if key.starts_with("plapi_") || key.starts_with("ak_") {
        "This is another kind of key. Paste the instance's secret key (sk_test_… or sk_live_…)."
    } else {
        return None;
    };
    Some(Wrong {
        field: "secret_key",
        problem,
    })
}

/// The dashboard leads each of these to the instance that was looked at last.
fn links(_: &Value) -> Vec<Link> {
    let page = |title, path: &str| {
        let url = format!("https://dashboard.clerk.com/last-active?path={path}");
        Link::new(title, url)
    };
    vec![
        page("Users", "users"),
        page("Webhooks", "webhooks"),
        page("Keys", "api-keys"),
        page("SSO", "user-authentication/sso-connections"),
        Link::new("Documentation", "https://clerk.com/docs/webhooks/overview"),
    ]
}
