//! A walk: the first byte says whose; NUL parts the pages that are answered one after the other,
//! each with a byte for its status before it. What follows a second NUL in a row is a position
//! that somebody kept.

use shared::exchange::AnswerError;
use shared::listing::Listing;
use shared::provider::Provider;

use crate::providers::{check_id, check_profile, check_reason, check_request, provider};
use crate::users::{answer, check_misread};

/// Pages of one walk.
const PAGES: usize = 8;

pub(crate) fn run(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    let provider = provider(*which);
    let position = rest
        .windows(2)
        .position(|pair| pair == [0, 0])
        .and_then(|at| std::str::from_utf8(&rest[at + 2..]).ok());
    let mut listing = provider.listing(position);
    check_request(&listing.request());
    for page in rest.split(|byte| *byte == 0).take(PAGES) {
        let Some((status, body)) = page.split_first() else {
            break;
        };
        let read = read(provider, listing.as_mut(), *status, body);
        let request = listing.request();
        check_request(&request);
        if !read {
            continue;
        }
        let resumed = provider.listing(Some(&listing.position()));
        assert_eq!(resumed.request().uri(), request.uri(), "a walk goes on");
    }
    for _ in 0..20 {
        if !listing.shrink() {
            break;
        }
        check_request(&listing.request());
    }
    assert!(!listing.shrink(), "pages shrink without end");
}

/// Whether the walk goes on from there.
fn read(provider: &dyn Provider, listing: &mut dyn Listing, status: u8, body: &[u8]) -> bool {
    match listing.read(&answer(status, body)) {
        Ok(page) => {
            for user in &page.users {
                match provider.read_listed(user) {
                    Ok(profile) => check_profile(&profile),
                    Err(rejected) => {
                        rejected.id.iter().for_each(check_id);
                        check_reason(&rejected.reason);
                        assert!(rejected.name().len() <= 1100);
                    }
                }
            }
            true
        }
        Err(AnswerError::NoSuchId | AnswerError::Unreadable(_)) => {
            panic!("a page is not a user");
        }
        Err(misread) => {
            check_misread(&misread);
            false
        }
    }
}
