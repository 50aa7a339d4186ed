//! Supabase Auth.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Account, Field, Guide, Link, Proof, Wrong, is_plain, text};

pub(super) const SUPABASE: Guide = Guide {
    name: "supabase",
    title: "Supabase Auth",
    about: "hosted or self-hosted",
    fields: &[
        Field {
            name: "project_url",
            label: "Project URL",
            hint: "Like https://<ref>.supabase.co. On the page Data API of the project's settings.",
            hidden: false,
            optional: false,
        },
        Field {
            name: "service_role_key",
            label: "Secret key",
            hint: "Begins with sb_secret_, or is the older service_role key. On the page API Keys \
                   of the project's settings.",
            hidden: true,
            optional: false,
        },
    ],
    proof: Proof::Sql,
    steps: &["Open the SQL editor of the project, paste this SQL, and run it."],
    events: &["INSERT, UPDATE and DELETE on auth.users, by a trigger"],
    wrong,
    links,
    account: Some(&ACCOUNT),
};

const ACCOUNT: Account = Account {
    one: "project",
    many: "projects",
    token: Field {
        name: "access_token",
        label: "Access token",
        hint: "Begins with sbp_. On the page Access Tokens of your account’s settings. It may do \
               whatever you may: let it expire soon, or delete it when you are done.",
        hidden: true,
        optional: false,
    },
    address: None,
    lists: true,
    regions: &[
        ("americas", "Americas"),
        ("emea", "Europe, Middle East and Africa"),
        ("apac", "Asia and Pacific"),
    ],
    orders: Some("installed the trigger at the provider"),
    made: "Its database gets a password that is not kept: in Supabase’s dashboard you can set \
           another one.",
    wrong: |token| {
        let begins = |begin| token.starts_with(begin);
        (begins("sb_") || begins("eyJ")).then_some(
            "This is a key of one project. Paste an access token of your account (sbp_…), or go \
             back and paste the key there.",
        )
    },
};

fn wrong(settings: &Value) -> Option<Wrong> {
    let key = text(settings, "service_role_key");
    let wrong = |problem| {
        Some(Wrong {
            field: "service_role_key",
            problem,
        })
    };
    if key.starts_with("sb_publishable_") {
        return wrong(
            "This is a publishable key, which may not read users. Paste a secret key \
             (sb_secret_…), or the service_role key.",
        );
    }
    if key.starts_with("sbp_") {
        return wrong(
            "This is an access token of your account. Paste a secret key of the project \
             (sb_secret_…), or the service_role key.",
        );
    }
    let claims = claims(key)?;
    if claims["role"] == "anon" {
        return wrong(
            "This is the anon key, which may not read users. Paste a secret key (sb_secret_…), \
             or the service_role key.",
        );
    }
    // A hosted project's older keys name it.
    let (of, asked) = (claims["ref"].as_str(), project_ref(settings));
    match (of, asked) {
        (Some(of), Some(asked)) if of != asked => wrong(
            "This key is another project's than the project URL names. Copy both from one project.",
        ),
        _ => None,
    }
}

/// The claims of an older key, which is a JWT.
fn claims(key: &str) -> Option<Value> {
    let claims = key.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// The reference of a hosted project.
fn project_ref(settings: &Value) -> Option<&str> {
    let host = text(settings, "project_url").strip_prefix("https://")?;
    let host = host.split('/').next()?;
    host.strip_suffix(".supabase.co").filter(|r| is_plain(r))
}

fn links(settings: &Value) -> Vec<Link> {
    let mut links = vec![Link::new(
        "Documentation",
        "https://supabase.com/docs/guides/auth",
    )];
    if let Some(project) = project_ref(settings) {
        let page = |title, path| {
            let url = format!("https://supabase.com/dashboard/project/{project}/{path}");
            Link::new(title, url)
        };
        links.splice(
            0..0,
            [
                page("Users", "auth/users"),
                page("SQL editor", "sql/new"),
                page("Keys", "settings/api-keys"),
                page("Sign-in methods and SSO", "auth/providers"),
            ],
        );
    }
    links
}
