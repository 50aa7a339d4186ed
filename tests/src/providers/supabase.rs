//! Supabase Auth.

use std::sync::Arc;

use super::{Fixtures, Paging, Provider, first_of, owned};
use crate::simulator::Supabase;

pub(super) const SUPABASE: Provider = Provider {
    name: "supabase",
    other_name_of: None,
    title: "Supabase Auth",
    project: || Arc::new(Supabase::default()),
    settings: &[
        ("project_url", "https://ref.supabase.co"),
        ("service_role_key", "k"),
    ],
    key: "service_role_key",
    key_in_requests: true,
    token: true,
    variables: "SUPABASE",
    silent_about_emails: false,
    paging: Paging {
        smallest: 44,
        in_position: "page",
        parameter: "per_page",
        numbered: true,
        changes: &[
            (
                &[("page", Some("1"))],
                "shows the same users again and again",
            ),
            (&[("per_page", Some("50"))], "fewer users a page"),
        ],
    },
    only_listings_lag: false,
    errors_are_listed: false,
    soft_deletions: true,
    hidden: &["encrypted_password", "recovery_token"],
    fixtures: Fixtures {
        deliveries: || {
            owned(&[
                event!("supabase/dbwebhook.update"),
                event!("supabase/dbwebhook.delete"),
            ])
        },
        pages: || {
            owned(&[
                event!("supabase/list.page1"),
                event!("supabase/list.keyset"),
            ])
        },
        answers,
        user: "b7fd0253-6e16-4d4e-b61b-5943cb1b2102",
    },
};

fn answers() -> Vec<(u16, String)> {
    vec![
        (200, first_of(event!("supabase/list.page1"), Some("users"))),
        (404, event!("supabase/get.404.2024-01-01").to_owned()),
        (404, event!("supabase/get.404.legacy").to_owned()),
    ]
}
