//! Stack Auth, which is called Hexclave since May 2026.

use serde_json::Value;

use super::{Account, Field, Guide, Link, Proof, SELF_HOSTED, Wrong, is_plain, text};

pub(super) const STACK: Guide = Guide {
    name: "stack",
    title: "Stack Auth",
    about: "by its older name; projects that Neon made are here",
    fields: &[
        Field {
            name: "project_id",
            label: "Project ID",
            hint: "On the page Project Keys of the project's dashboard.",
            hidden: false,
            optional: false,
        },
        Field {
            name: "secret_server_key",
            label: "Secret server key",
            hint: "Begins with ssk_. It is shown once, when it is made: on the page Project Keys, \
                   make a new one.",
            hidden: true,
            optional: false,
        },
        SELF_HOSTED,
    ],
    proof: Proof::Signature,
    steps: &[
        "Open the page Webhooks of the project's dashboard and add an endpoint with this address.",
        "Tick these events, or leave the filter empty.",
        "Open the endpoint that was made, reveal its signing secret, and paste it below.",
    ],
    events: &["user.created", "user.updated", "user.deleted"],
    wrong,
    links,
    account: Some(&ACCOUNT),
};

const ACCOUNT: Account = Account {
    one: "project",
    many: "projects",
    token: Field {
        name: "access_token",
        label: "Partner’s credentials",
        hint: "client_id:client_secret, as the variable STACK_NEON_INTEGRATION_CLIENTS_CONFIG of \
               your server has them. The hosted service gives them to partners only.",
        hidden: true,
        optional: false,
    },
    address: Some(Field {
        name: "api_url",
        label: "API address",
        hint: "Of your own server, like https://auth.example.com/api/v1.",
        hidden: false,
        optional: false,
    }),
    lists: false,
    regions: &[],
    orders: Some("ordered deliveries at the provider"),
    made: "Nobody owns it in the server’s dashboard until it is transferred to somebody there.",
    wrong: |token| {
        (!token.contains(':')).then_some(
            "These are no partner’s credentials: they are client_id:client_secret, with a colon \
             between them.",
        )
    },
};

pub(super) const HEXCLAVE: Guide = Guide {
    name: "hexclave",
    title: "Hexclave",
    about: "what Stack Auth is called since May 2026",
    ..STACK
};

fn wrong(settings: &Value) -> Option<Wrong> {
    let key = text(settings, "secret_server_key");
    if key.starts_with("pck_") {
        return Some(Wrong {
            field: "secret_server_key",
            problem: "This is a publishable client key, which may not read users. Paste the \
                      secret server key (ssk_…).",
        });
    }
    if key.starts_with("sak_") {
        return Some(Wrong {
            field: "secret_server_key",
            problem: "This is a super secret admin key, which may do more than is needed. Paste \
                      the secret server key (ssk_…).",
        });
    }
    if text(settings, "project_id").starts_with("ssk_") {
        return Some(Wrong {
            field: "project_id",
            problem: "This is a key. The project's ID is a UUID.",
        });
    }
    None
}

fn links(settings: &Value) -> Vec<Link> {
    let mut links = vec![Link::new(
        "Documentation",
        "https://docs.stack-auth.com/docs/concepts/webhooks",
    )];
    let host = match text(settings, "api_url") {
        "" => "app.stack-auth.com",
        url if url.contains("//api.stack-auth.com") => "app.stack-auth.com",
        url if url.contains("//api.hexclave.com") => "app.hexclave.com",
        // Where a server of one's own has its dashboard nobody knows.
        _ => return links,
    };
    let project = text(settings, "project_id");
    if is_plain(project) {
        let page =
            |title, path| Link::new(title, format!("https://{host}/projects/{project}/{path}"));
        links.splice(
            0..0,
            [
                page("Users", "users"),
                page("Webhooks", "webhooks"),
                page("Keys", "project-keys"),
                page("Sign-in methods and SSO", "auth-methods"),
            ],
        );
    }
    links
}
