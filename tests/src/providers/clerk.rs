//! Clerk.

use std::sync::Arc;

use super::{Fixtures, Paging, Provider, first_of, owned};
use crate::simulator::Clerk;

pub(super) const CLERK: Provider = Provider {
    name: "clerk",
    other_name_of: None,
    title: "Clerk",
    project: || Arc::new(Clerk::default()),
    settings: &[("secret_key", "sk_test_1")],
    key: "secret_key",
    key_in_requests: true,
    token: false,
    variables: "CLERK",
    silent_about_emails: false,
    paging: Paging {
        smallest: 44,
        in_position: "page",
        parameter: "limit",
        numbered: false,
        changes: &[
            (
                &[("starting_after", None), ("offset", None)],
                "shows the same users again and again",
            ),
            (
                &[("order_by", Some("-created_at"))],
                "shows the newest first",
            ),
        ],
    },
    only_listings_lag: false,
    errors_are_listed: true,
    soft_deletions: false,
    hidden: &[],
    fixtures: Fixtures {
        deliveries: || {
            owned(&[
                event!("clerk/user.created"),
                event!("clerk/user.updated.phone_only"),
                event!("clerk/user.deleted"),
            ])
        },
        pages: || owned(&[event!("clerk/list.page1"), event!("clerk/count")]),
        answers,
        user: "user_29w83sxmDNGwOuEthce5gg56FcC",
    },
};

fn answers() -> Vec<(u16, String)> {
    vec![
        (200, first_of(event!("clerk/list.page1"), None)),
        (200, r#"{"object":"instance","id":"ins_1"}"#.to_owned()),
        (200, r#"{"object":"instance","id":"ins\u007f1"}"#.to_owned()),
        (404, event!("clerk/get.404").to_owned()),
    ]
}
