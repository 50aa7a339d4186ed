//! How long a server asks us to wait.
//!
//! Sources: RFC 9110, sections 5.6.7 and 10.2.3; Auth0's `x-ratelimit-reset`,
//! <https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy>.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use crate::time::WallClock;

/// Upper bound on any wait that a server asks for. Some ask for one whose end no
/// clock can show.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A wait that a server asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    lasts: Duration,
    ends: Option<WallClock>,
}

impl Wait {
    /// Reads `Retry-After`, in seconds or as a date in any of HTTP's three forms,
    /// or `x-ratelimit-reset`, in seconds since 1970. A time is compared with the
    /// answer's own `Date`, because a function's clock can be off; with `now` if
    /// there is none.
    pub(super) fn asked_for(headers: &HeaderMap, now: WallClock) -> Option<Self> {
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
        let date = |name: &str| httpdate::parse_http_date(header(name)?).ok();
        let now = date("date").map_or(now, WallClock::from);
        let until = |ends: SystemTime| now.until(ends).unwrap_or_default();
        let retry_after = || {
            let seconds = header("retry-after").and_then(seconds);
            seconds.or_else(|| date("retry-after").map(until))
        };
        let reset = || {
            let seconds: i64 = header("x-ratelimit-reset")?.parse().ok()?;
            let since_1970 = Duration::from_secs(u64::try_from(seconds.max(0)).ok()?);
            Some(UNIX_EPOCH.checked_add(since_1970).map_or(LONGEST, until))
        };
        let lasts = retry_after().or_else(reset)?;
        Some(Self {
            lasts,
            ends: now.after(lasts),
        })
    }

    /// How long to wait; `None` if the wait is over already.
    pub(super) fn lasts(self) -> Option<Duration> {
        Some(self.lasts.min(LONGEST)).filter(|lasts| !lasts.is_zero())
    }

    /// The end of the wait, in words to append to a sentence.
    pub(super) fn until(wait: Option<&Self>) -> String {
        let Some(wait) = wait.filter(|wait| !wait.lasts.is_zero()) else {
            return String::new();
        };
        let ends = wait.ends.and_then(WallClock::to_rfc3339);
        let ends = ends.map(|ends| format!(" until {ends}"));
        // Rounded up: a part of a second less is not long enough.
        let seconds = wait.lasts.as_secs() + u64::from(wait.lasts.subsec_nanos() > 0);
        format!("{} (for {seconds} seconds)", ends.unwrap_or_default())
    }
}

/// Whole seconds, or with a fraction, as some servers send them.
fn seconds(text: &str) -> Option<Duration> {
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if !text.starts_with(|first: char| first.is_ascii_digit()) || !text.bytes().all(plain) {
        return None;
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(Duration::from_secs(whole));
    }
    let parts = text.parse::<f64>().ok()?;
    Some(Duration::try_from_secs_f64(parts).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of 1 February 2025, and the same as the answers' clock has it.
    const NOON: u64 = 1_738_411_200;
    const DATE: (&str, &str) = ("date", "Sat, 01 Feb 2025 12:00:00 GMT");

    fn wait(headers: &[(&'static str, &str)], now: u64) -> Option<Wait> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Wait::asked_for(&headers, (UNIX_EPOCH + Duration::from_secs(now)).into())
    }

    fn seconds_asked_for(headers: &[(&'static str, &str)]) -> Option<u64> {
        let wait = wait(headers, NOON + 1_000)?;
        Some(wait.lasts.min(LONGEST).as_secs())
    }

    #[test]
    fn the_wait_that_the_server_asks_for_is_kept() {
        let check = seconds_asked_for;
        assert_eq!(check(&[("retry-after", "7")]), Some(7));
        assert_eq!(check(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(check(&[("retry-after", "7.5")]), Some(7));
        for none in ["soon", "", "-7", "+7", "1e3", "7s", "nan", "inf", "1.2.3"] {
            assert_eq!(check(&[("retry-after", none)]), None, "{none}");
        }
        for endless in [u64::MAX.to_string(), "9".repeat(400)] {
            assert_eq!(check(&[("retry-after", &endless)]), Some(86_400));
        }
        assert_eq!(check(&[]), None);
        let reset = |at: i64| check(&[DATE, ("x-ratelimit-reset", &at.to_string())]);
        let noon = i64::try_from(NOON).unwrap();
        assert_eq!(reset(noon + 3), Some(3));
        assert_eq!(reset(noon - 96), Some(0));
        assert_eq!(reset(i64::MIN), Some(0));
        assert_eq!(reset(i64::MAX), Some(86_400));
        let both = [DATE, ("retry-after", "7"), ("x-ratelimit-reset", "1")];
        assert_eq!(check(&both), Some(7));
    }

    #[test]
    fn a_wait_may_be_a_date_in_any_of_https_forms() {
        for date in [
            "Sat, 01 Feb 2025 12:01:30 GMT",
            "Saturday, 01-Feb-25 12:01:30 GMT",
            "Sat Feb  1 12:01:30 2025",
        ] {
            assert_eq!(seconds_asked_for(&[DATE, ("retry-after", date)]), Some(90));
            // The answers' clock may itself be written in an old form.
            let old = [("date", "Sat Feb  1 12:00:00 2025"), ("retry-after", date)];
            assert_eq!(seconds_asked_for(&old), Some(90));
            // Without a clock of theirs, ours has to do.
            let alone = wait(&[("retry-after", date)], NOON + 30).unwrap();
            assert_eq!(alone.lasts, Duration::from_secs(60));
        }
        let past = [DATE, ("retry-after", "Sat, 01 Feb 2025 11:00:00 GMT")];
        assert_eq!(seconds_asked_for(&past), Some(0));
        assert_eq!(wait(&past, NOON).unwrap().lasts(), None);
        let never = [DATE, ("retry-after", "Sat, 32 Feb 2025 11:00:00 GMT")];
        assert_eq!(seconds_asked_for(&never), None);
    }

    #[test]
    fn the_end_of_a_wait_is_told_by_the_servers_clock() {
        let check = |headers: &[(&'static str, &str)]| {
            let wait = wait(headers, NOON + 1_000);
            Wait::until(wait.as_ref())
        };
        let hour = " until 2025-02-01T13:00:00Z (for 3600 seconds)";
        assert_eq!(check(&[DATE, ("retry-after", "3600")]), hour);
        let date = ("retry-after", "Sat, 01 Feb 2025 13:00:00 GMT");
        assert_eq!(check(&[DATE, date]), hour);
        let ours = " until 2025-02-01T12:16:47Z (for 7 seconds)";
        assert_eq!(check(&[("retry-after", "7")]), ours);
        assert_eq!(check(&[DATE]), "");
        assert_eq!(check(&[DATE, ("retry-after", "0")]), "");
        let endless = u64::MAX.to_string();
        let said = check(&[DATE, ("retry-after", &endless)]);
        assert_eq!(said, format!(" (for {endless} seconds)"));
    }
}
