//! Ids: `connection|account`.

use crate::simulator::people::mix;

/// The connection that users with a password are in, and its strategy.
pub(super) const DATABASE: &str = "Username-Password-Authentication";

/// A new user of the database.
pub(super) fn database(random: &mut fastrand::Rng) -> String {
    let digits: String = (0..24).map(|_| random.digit(16)).collect();
    format!("auth0|{digits}")
}

/// The user that this social account always is: who signs up again gets the id they had.
pub(super) fn social(provider: &str, email: Option<&str>, random: &mut fastrand::Rng) -> String {
    let account = match email {
        Some(email) => email
            .bytes()
            .fold(0x736f_6369, |sum, byte| mix(sum ^ u64::from(byte))),
        None => random.u64(..),
    };
    format!("{provider}|1{account:020}")
}

/// A user who comes by text message, and has neither name nor email.
pub(super) fn sms(random: &mut fastrand::Rng) -> String {
    let digits: String = (0..24).map(|_| random.digit(16)).collect();
    format!("sms|{digits}")
}

/// Whether this may be a user's id.
pub(super) fn valid(id: &str) -> bool {
    id.split_once('|')
        .is_some_and(|(strategy, account)| !strategy.is_empty() && !account.is_empty())
}
