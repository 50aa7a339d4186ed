//! A session: a cookie that the token has signed, and what proves that a form was
//! made in it.
//!
//! Invariant: nothing is kept of a session. It ends by its time, and with the
//! token: what another one has signed is nothing.

use shared::console_token::ConsoleToken;
use shared::time::WallClock;

/// Its prefix has browsers refuse a cookie that is not Secure, for this host alone
/// and for all of its paths.
const COOKIE: &str = "__Host-console";

/// How long a session lasts when nothing is done in it, in seconds.
const IDLE: i64 = 60 * 60;

/// How long a session lasts at most, in seconds.
const LONGEST: i64 = 12 * 60 * 60;

/// A session gets a new cookie when its own is as old as this, in seconds.
const RENEWAL: i64 = 5 * 60;

/// A session that a cookie has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    begun: i64,
    seen: i64,
    name: String,
}

impl Session {
    /// Begins one. Its name has to be distinct, and need not be secret: what is
    /// signed can't be made up.
    pub(crate) fn begin(now: WallClock) -> Self {
        let now = seconds(now);
        Self {
            begun: now,
            seen: now,
            name: format!("{:016x}", fastrand::u64(..)),
        }
    }

    /// The session of a cookie's value, if it lasts.
    pub(crate) fn read(token: &ConsoleToken, cookie: &str, now: WallClock) -> Option<Self> {
        let (claim, signature) = cookie.rsplit_once('.')?;
        if !token.verify("session", claim, signature) {
            return None;
        }
        let mut parts = claim.split('.');
        let session = Self {
            begun: parts.next()?.parse().ok()?,
            seen: parts.next()?.parse().ok()?,
            name: parts.next()?.to_owned(),
        };
        let now = seconds(now);
        let lasts = now < session.seen + IDLE && now < session.begun + LONGEST;
        lasts.then_some(session)
    }

    /// The same session, if it is due for a new cookie.
    pub(crate) fn renewed(&self, now: WallClock) -> Option<Self> {
        let now = seconds(now);
        (now >= self.seen + RENEWAL).then(|| Self {
            seen: now,
            ..self.clone()
        })
    }

    /// The header `Set-Cookie`.
    pub(crate) fn cookie(&self, token: &ConsoleToken) -> String {
        let claim = format!("{}.{}.{}", self.begun, self.seen, self.name);
        let signature = token.sign("session", &claim);
        let left = (self.begun + LONGEST - self.seen).min(IDLE);
        format!(
            "{COOKIE}={claim}.{signature}; Path=/; Max-Age={left}; Secure; HttpOnly; \
             SameSite=Strict"
        )
    }

    /// The token that each form of this session carries.
    pub(crate) fn form_token(&self, token: &ConsoleToken) -> String {
        token.sign("form", &self.form_claim())
    }

    /// Whether a form was made in this session.
    pub(crate) fn made(&self, token: &ConsoleToken, form_token: &str) -> bool {
        token.verify("form", &self.form_claim(), form_token)
    }

    fn form_claim(&self) -> String {
        format!("{}.{}", self.begun, self.name)
    }
}

/// The value of the session's cookie in a request.
pub(crate) fn cookie(request: &crate::request::HttpRequest) -> Option<&str> {
    request.cookie(COOKIE)
}

/// The header `Set-Cookie` that ends a session.
pub(crate) fn end() -> String {
    format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}

fn seconds(now: WallClock) -> i64 {
    now.seconds_since(0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn token(text: &str) -> ConsoleToken {
        ConsoleToken::new(text.to_owned()).unwrap()
    }

    fn at(seconds: i64) -> WallClock {
        (UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds.unsigned_abs())).into()
    }

    fn value(header: &str) -> &str {
        let (cookie, attributes) = header.split_once(';').unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(attributes.contains(attribute), "{header}");
        }
        cookie.strip_prefix("__Host-console=").unwrap()
    }

    #[test]
    fn a_session_ends_by_idleness_by_its_age_and_with_the_token() {
        let known = token("a token of 24 characters");
        let session = Session::begin(at(0));
        let cookie = session.cookie(&known);
        let read = |seconds| Session::read(&known, value(&cookie), at(seconds));
        assert_eq!(read(IDLE - 1), Some(session.clone()));
        assert_eq!(read(IDLE), None);
        let other = token("b token of 24 characters");
        assert_eq!(Session::read(&other, value(&cookie), at(0)), None);
        assert_eq!(session.renewed(at(RENEWAL - 1)), None);
        let mut session = session;
        for seconds in (0..LONGEST).step_by(1000) {
            session = session.renewed(at(seconds)).unwrap_or(session);
        }
        let cookie = session.cookie(&known);
        let read = |seconds| Session::read(&known, value(&cookie), at(seconds));
        assert!(read(LONGEST - 1).is_some() && read(LONGEST).is_none());
    }

    #[test]
    fn a_cookie_that_was_changed_is_no_session() {
        let known = token("a token of 24 characters");
        let cookie = Session::begin(at(0)).cookie(&known);
        let good = value(&cookie);
        for bad in [
            "",
            ".",
            "1.2.3",
            &good[1..],
            &good[..good.len() - 1],
            &good.replacen('1', "2", 1),
            &format!("9{good}"),
        ] {
            assert_eq!(Session::read(&known, bad, at(0)), None, "{bad}");
        }
    }

    #[test]
    fn a_form_is_of_one_session() {
        let known = token("a token of 24 characters");
        let session = Session::begin(at(0));
        let form = session.form_token(&known);
        assert!(session.made(&known, &form));
        // A page may have been open when the cookie was renewed.
        assert!(session.renewed(at(1000)).unwrap().made(&known, &form));
        assert!(!Session::begin(at(0)).made(&known, &form));
        assert!(!session.made(&known, ""));
    }
}
