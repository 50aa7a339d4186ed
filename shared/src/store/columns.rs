//! The statements about many users, and profiles by columns, as they take them.

use std::sync::LazyLock;
use std::time::SystemTime;

use tokio_postgres::types::{ToSql, Type};

use crate::profile::Profile;
use crate::time::At;

/// `join.sql` of many profiles.
pub(super) static JOIN_MANY: LazyLock<String> =
    LazyLock::new(|| sql!("join").replace("profiles_to_join", sql!("join_many")));

/// `create.sql`.
pub(super) static CREATE: LazyLock<String> =
    LazyLock::new(|| sql!("create").replace("profiles_to_join", sql!("join_many")));

/// The parameters `$1` to `$6` of `join_many.sql`, in the order of the ids: two
/// batches lock in the same order, or they deadlock.
pub(super) struct Columns<'a> {
    ids: Vec<&'a str>,
    raw_json: Vec<&'a str>,
    names: Vec<Option<&'a str>>,
    emails: Vec<Option<&'a str>>,
    created: Vec<Option<SystemTime>>,
    ats: Vec<SystemTime>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(profiles: &[(&'a Profile, At)]) -> Self {
        let mut sorted: Vec<(&'a Profile, At)> = profiles.to_vec();
        sorted.sort_by_key(|(profile, _)| &profile.id);
        let profiles = || sorted.iter().map(|(profile, _)| *profile);
        Self {
            ids: profiles().map(|profile| profile.id.as_str()).collect(),
            raw_json: profiles().map(|profile| &*profile.raw_json).collect(),
            names: profiles().map(|profile| profile.name.as_deref()).collect(),
            emails: profiles().map(|profile| profile.email.as_deref()).collect(),
            created: profiles()
                .map(|profile| profile.created_at.map(At::to_system))
                .collect(),
            ats: sorted.iter().map(|(_, at)| at.to_system()).collect(),
        }
    }

    pub(super) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        vec![
            (&self.ids, Type::TEXT_ARRAY),
            (&self.raw_json, Type::TEXT_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.emails, Type::TEXT_ARRAY),
            (&self.created, Type::TIMESTAMPTZ_ARRAY),
            (&self.ats, Type::TIMESTAMPTZ_ARRAY),
        ]
    }
}
