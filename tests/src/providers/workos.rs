//! WorkOS AuthKit.

use std::sync::Arc;

use super::{Fixtures, Paging, Provider, first_of, owned};
use crate::simulator::WorkOs;

pub(super) const WORKOS: Provider = Provider {
    name: "workos",
    other_name_of: None,
    title: "WorkOS AuthKit",
    project: || Arc::new(WorkOs::default()),
    settings: &[("api_key", "sk_1")],
    key: "api_key",
    key_in_requests: true,
    token: false,
    variables: "WORKOS",
    silent_about_emails: false,
    paging: Paging {
        smallest: 3,
        in_position: "page",
        parameter: "limit",
        numbered: false,
        changes: &[
            (
                &[("after", None)],
                "does not begin with the user that was asked for",
            ),
            (&[("order", Some("desc"))], "shows the newest first"),
        ],
    },
    only_listings_lag: false,
    errors_are_listed: false,
    soft_deletions: false,
    hidden: &[],
    fixtures: Fixtures {
        deliveries: || {
            owned(&[
                event!("workos/user.created"),
                event!("workos/user.updated"),
                event!("workos/user.deleted"),
            ])
        },
        pages: || owned(&[event!("workos/list.page1"), event!("workos/events.page1")]),
        answers,
        user: "user_01E4ZCR3C56J083X43JQXF3JK5",
    },
};

fn answers() -> Vec<(u16, String)> {
    vec![
        (200, first_of(event!("workos/list.page1"), Some("data"))),
        (
            200,
            r#"{"data":[{"id":"role_1","slug":"member"}]}"#.to_owned(),
        ),
        (404, event!("workos/get.404").to_owned()),
        (200, event!("workos/events.page1").to_owned()),
    ]
}
