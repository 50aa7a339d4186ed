//! A page of the listing is asked for until it is had, or can't be had.

use std::time::Duration;

use shared::client::{Effort, Unanswered};
use shared::exchange::AnswerError;
use shared::listing::{Listing, Page, broken};
use shared::settle::Sources;
use tokio::time::Instant;

/// Bytes that a page may have.
const LARGEST_PAGE: usize = 32 << 20;

/// A listing counts as broken after this many whole answers that are no page.
const MOST_ODD: u32 = 3;

/// Fetches the next page. A page that is too large, or takes the provider too
/// long, is asked for in smaller parts.
pub(crate) async fn fetch(
    sources: Sources<'_>,
    listing: &mut dyn Listing,
    until: Instant,
) -> Result<Page, Unanswered> {
    let (mut limited, mut odd) = (false, 0);
    loop {
        // A page that takes too long does not get quicker by being asked for again.
        let narrows = listing.can_narrow() && !limited;
        let effort = Effort {
            until,
            attempts: if narrows { 2 } else { 10 },
            attempt: Duration::from_secs(60),
            size: LARGEST_PAGE,
        };
        let request = listing.request();
        let asked = sources
            .client
            .ask(sources.provider, &request, effort, |answer| {
                let read = listing.read(answer);
                // The answer is whole and not a proxy's page: asking again is no cure.
                odd += u32::from(matches!(read, Err(AnswerError::Garbled(_))) && answer.is_whole());
                match read {
                    Err(AnswerError::Garbled(_)) if odd >= MOST_ODD => Err(broken(
                        sources.provider.facts().name,
                        "is of a form that is not known",
                    )),
                    read => read,
                }
            })
            .await;
        match asked {
            Ok(page) => return Ok(page),
            Err(Unanswered::TooLarge(_)) if listing.shrink() => {}
            Err(Unanswered::Unreachable(_) | Unanswered::Trouble(_))
                if narrows && listing.narrow() => {}
            Err(error) if narrows && error.is_worth_asking_again() => limited = true,
            Err(error) => return Err(error),
        }
    }
}
