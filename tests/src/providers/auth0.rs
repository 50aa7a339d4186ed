//! Auth0.

use std::sync::Arc;

use super::{Fixtures, Paging, Provider, first_of, owned};
use crate::simulator::Auth0;

pub(super) const AUTH0: Provider = Provider {
    name: "auth0",
    other_name_of: None,
    title: "Auth0",
    project: || Arc::new(Auth0::default()),
    settings: &[
        ("domain", "tenant.eu.auth0.com"),
        ("client_id", "i"),
        ("client_secret", "s"),
    ],
    key: "client_secret",
    key_in_requests: false,
    token: true,
    variables: "AUTH0",
    silent_about_emails: false,
    paging: Paging {
        smallest: 3,
        in_position: "size",
        parameter: "per_page",
        numbered: false,
        changes: &[
            (&[("q", None)], "does not begin at the moment"),
            (&[("sort", Some("created_at:-1"))], "shows the newest first"),
        ],
    },
    only_listings_lag: true,
    errors_are_listed: false,
    soft_deletions: false,
    hidden: &[],
    fixtures: Fixtures {
        deliveries: || {
            owned(&[
                event!("auth0/user.created"),
                event!("auth0/user.created.observed"),
                event!("auth0/user.updated"),
                event!("auth0/user.deleted"),
            ])
        },
        pages: || {
            owned(&[
                event!("auth0/list.page0"),
                event!("auth0/list.400.over1000"),
            ])
        },
        answers,
        user: "auth0|507f1f77bcf86cd799439020",
    },
};

fn answers() -> Vec<(u16, String)> {
    vec![
        (200, first_of(event!("auth0/list.page0"), Some("users"))),
        (200, r#"{"access_token":"t","expires_in":86400}"#.to_owned()),
        (404, event!("auth0/get.404").to_owned()),
    ]
}
