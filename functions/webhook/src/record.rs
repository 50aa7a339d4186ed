//! The record of a delivery in the table `deliveries`.

use std::time::Duration;

use shared::json::Unreadable;
use shared::provider::{Event, Provider};
use shared::signature::Verified;
use shared::store::Receipt;
use tokio::time::timeout;

use crate::app::Connected;

/// The longest that an answer waits for a record that nothing depends on.
const A_MOMENT: Duration = Duration::from_millis(500);

/// The record to write; none for a delivery whose event has no type.
pub(crate) fn receipt(
    provider: &dyn Provider,
    delivery: &Verified<'_>,
    event: &Result<Event, Unreadable>,
) -> Option<Receipt> {
    let changed_at = match event {
        // The version, or the deletion's own time.
        Ok(Event::Statement(observation)) => Some(observation.at()),
        _ => provider.made_at(delivery),
    };
    Some(Receipt {
        event_id: delivery.event_id().to_owned(),
        event: provider.event_type(delivery)?,
        changed_at,
    })
}

/// Records a delivery that is answered 503, if that goes quickly.
pub(crate) async fn record_failure(connected: &Connected, delivery: &Verified<'_>) {
    let provider = connected.provider.as_ref();
    let event = provider.event(delivery);
    let receipt = receipt(provider, delivery, &event);
    let (Some(store), Some(receipt)) = (connected.project_store(), receipt) else {
        return;
    };
    let user = match event {
        Ok(Event::Statement(observation)) => Some(observation.id().clone()),
        Ok(Event::Hint { id, .. }) => Some(id),
        Ok(Event::OfNoUser) => return,
        Err(_) => provider.user_in_rejected(delivery.body()),
    };
    let recorded = store.record_failure(&receipt, user.as_ref());
    if let Ok(Err(error)) = timeout(A_MOMENT, recorded).await {
        tracing::warn!(%error, "could not record a delivery that is to be sent again");
    }
}
