//! Trying one way after another, without waiting for a dead one to fail.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use crate::store::error::StoreError;

/// How long each has to answer before the next one is tried beside it: a database
/// that sleeps and an address that is dead look the same.
const HEAD_START: Duration = Duration::from_secs(1);

/// Gives the first that succeeds, and drops the others. A failure that does not
/// pass ends the race, since all ways lead to the same database.
pub(super) async fn race<T, A>(attempts: impl Iterator<Item = A>) -> Result<T, StoreError>
where
    A: Future<Output = Result<T, StoreError>>,
{
    let mut attempts = attempts;
    let mut running = FuturesUnordered::new();
    let mut failed = None;
    loop {
        let more = match attempts.next() {
            Some(attempt) => {
                running.push(attempt);
                true
            }
            None => false,
        };
        let ended = tokio::select! {
            ended = running.next() => ended,
            () = sleep(HEAD_START), if more => continue,
        };
        match ended {
            Some(Err(error)) if error.passes() => failed = Some(error),
            Some(ended) => return ended,
            None => return Err(failed.unwrap_or_else(StoreError::unknown_host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;

    use futures_util::future::BoxFuture;
    use tokio::sync::Notify;

    use super::*;

    type Attempt = BoxFuture<'static, Result<u8, StoreError>>;

    fn dead() -> Attempt {
        Box::pin(pending())
    }

    fn refused(error: StoreError) -> Attempt {
        Box::pin(ready(Err(error)))
    }

    fn away() -> StoreError {
        StoreError::Unreachable("away".to_owned())
    }

    #[tokio::test]
    async fn dead_ones_hold_nobody_up() {
        let attempts = [dead(), refused(away()), dead(), Box::pin(ready(Ok(4)))];
        assert_eq!(race(attempts.into_iter()).await, Ok(4));
    }

    #[tokio::test]
    async fn a_slow_one_goes_on_while_others_are_tried() {
        let others_tried = Arc::new(Notify::new());
        let (heard, tell) = (others_tried.clone(), others_tried);
        let slow: Attempt = Box::pin(async move {
            heard.notified().await;
            Ok(1)
        });
        let last: Attempt = Box::pin(async move {
            tell.notify_one();
            Err(away())
        });
        assert_eq!(race([slow, dead(), last].into_iter()).await, Ok(1));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_pass_ends_it() {
        let attempts = [dead(), refused(StoreError::Garbled), dead()];
        assert_eq!(race(attempts.into_iter()).await, Err(StoreError::Garbled));
        assert_eq!(race([refused(away())].into_iter()).await, Err(away()));
        let none: [Attempt; 0] = [];
        assert!(race(none.into_iter()).await.is_err());
    }
}
