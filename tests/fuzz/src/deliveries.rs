//! A delivery's body: the first byte says whose, the rest is the body.

use shared::provider::Provider;
use shared::signature::Verified;
use tests::providers::named;

use crate::providers::{check_event, check_id, check_reason, provider, verified};

pub(crate) fn run(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else {
        return;
    };
    check(provider(*which), &verified(body));
}

/// Checks the rules that hold for every signed delivery.
pub(crate) fn check(provider: &dyn Provider, delivery: &Verified<'_>) {
    let body = delivery.body();
    assert!((1..=256).contains(&delivery.event_id().len()));
    assert!(!delivery.event_id().chars().any(char::is_control));
    match provider.event(delivery) {
        Ok(event) => check_event(provider, &event),
        Err(unreadable) => check_reason(&unreadable.to_string()),
    }
    let _ = provider.made_at(delivery);
    provider.user_in_rejected(body).iter().for_each(check_id);
    let kept = provider.redacted(body);
    assert!(kept.len() <= body.len() + 200);
    let row = named(provider.facts().name).expect("its row");
    let kept = String::from_utf8_lossy(&kept);
    let mut hidden = row.hidden.iter();
    assert!(!hidden.any(|key| kept.contains(&format!("\"{key}\":"))));
}
