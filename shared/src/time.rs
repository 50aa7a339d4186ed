//! The two kinds of time: moments that order what is known of a user, and this
//! machine's own clock.
//!
//! Invariant: a [`WallClock`] doesn't become an [`At`]. Functions run on many
//! machines whose clocks differ, so none of these clocks orders anything; an
//! `At` comes from the provider or from the database.

use std::fmt;
use std::ops::Sub;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in microseconds since 1970-01-01 UTC: PostgreSQL's resolution.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(i64);

impl At {
    /// From microseconds since 1970-01-01 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since 1970-01-01 UTC; `None` outside the years 1 to
    /// 9999, which no provider means and not every client of Postgres reads.
    pub fn from_millis(millis: i64) -> Option<Self> {
        const YEAR_1: i64 = -62_135_596_800_000;
        const YEAR_10000: i64 = 253_402_300_800_000;
        (YEAR_1..YEAR_10000)
            .contains(&millis)
            .then(|| Self(millis * 1000))
    }

    /// From an RFC 3339 date and time with an offset, as in
    /// `2026-01-15T12:00:00.126Z`.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Self::from_millis(time.as_millisecond())?;
        Some(Self(time.as_microsecond()))
    }

    /// The reverse of [`At::from_rfc3339`], in UTC.
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_microsecond(self.0)
            .map(|time| time.to_string())
            .unwrap_or_default()
    }

    /// The same to the millisecond, with all three of its digits.
    pub fn to_rfc3339_millis(self) -> String {
        jiff::Timestamp::from_microsecond(self.0)
            .map(|time| format!("{time:.3}"))
            .unwrap_or_default()
    }

    /// From a database's column or clock, as its driver has it. This machine's
    /// clock is a [`WallClock`], which doesn't become an [`At`].
    pub fn from_system(time: SystemTime) -> Self {
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(since) => micros(since),
            Err(before) => -micros(before.duration()),
        })
    }

    /// The reverse of [`At::from_system`].
    pub fn to_system(self) -> SystemTime {
        let micros = Duration::from_micros(self.0.unsigned_abs());
        if self.0 < 0 {
            UNIX_EPOCH - micros
        } else {
            UNIX_EPOCH + micros
        }
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// The moment that lies this long before.
impl Sub<Duration> for At {
    type Output = Self;

    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(micros(before)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

/// The time by this machine's clock. It tells how old something is, to within
/// minutes, and is good for nothing else.
///
/// ```compile_fail,E0277
/// # use shared::time::{At, WallClock};
/// let at: At = WallClock::read().into();
/// ```
///
/// Nothing makes an [`At`] of it; the database's clock makes one:
///
/// ```
/// # use shared::time::At;
/// # use std::time::SystemTime;
/// # fn read(clock: SystemTime) {
/// let at: At = At::from_system(clock);
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallClock(SystemTime);

impl WallClock {
    /// Reads the clock.
    pub fn read() -> Self {
        Self(SystemTime::now())
    }

    /// How far `at` is from this time, in either direction.
    pub fn distance(self, at: At) -> Duration {
        let at = at.to_system();
        match self.0.duration_since(at) {
            Ok(age) => age,
            Err(ahead) => ahead.duration(),
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn millis(self) -> i64 {
        At::from_system(self.0).0.div_euclid(1_000)
    }

    /// Milliseconds since `at`, and 0 where that is ahead.
    pub fn millis_since(self, at: At) -> i64 {
        self.millis().saturating_sub(at.0.div_euclid(1_000)).max(0)
    }

    /// Seconds since the moment `sent`, which counts seconds since 1970-01-01
    /// UTC; negative where it is ahead.
    pub fn seconds_since(self, sent: i64) -> i64 {
        At::from_system(self.0)
            .0
            .div_euclid(1_000_000)
            .saturating_sub(sent)
    }

    /// How long it is until `later`; `None` if that is past.
    pub fn until(self, later: SystemTime) -> Option<Duration> {
        later.duration_since(self.0).ok()
    }

    /// The time when this much has passed; `None` if no clock can show it.
    pub fn after(self, passed: Duration) -> Option<Self> {
        self.0.checked_add(passed).map(Self)
    }

    /// In UTC, to the second; `None` outside the years that are written so.
    pub fn to_rfc3339(self) -> Option<String> {
        let time = jiff::Timestamp::try_from(self.0).ok()?;
        Some(format!("{time:.0}"))
    }
}

impl From<SystemTime> for WallClock {
    fn from(time: SystemTime) -> Self {
        Self(time)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A clock that shows so many milliseconds since 1970.
    pub(crate) fn clock(millis: u64) -> WallClock {
        WallClock(UNIX_EPOCH + Duration::from_millis(millis))
    }

    #[test]
    fn a_time_outside_years_1_to_9999_is_none() {
        assert_eq!(At::from_millis(-1), Some(At::from_micros(-1000)));
        assert_eq!(At::from_millis(253_402_300_800_000), None);
        assert_eq!(At::from_millis(i64::MIN), None);
        assert_eq!(
            At::from_rfc3339("2021-12-15T17:43:58.122073Z"),
            Some(At::from_micros(1_639_590_238_122_073))
        );
        assert_eq!(
            At::from_rfc3339("2021-12-15T19:43:58.122073+02:00"),
            Some(At::from_micros(1_639_590_238_122_073))
        );
        assert_eq!(At::from_rfc3339("yesterday"), None);
    }

    #[test]
    fn the_wall_clock_tells_how_far_off_a_time_is_in_either_direction() {
        let clock = clock(100_900);
        let check = |micros: i64| clock.distance(At::from_micros(micros)).as_micros();
        assert_eq!(check(100_899_999), 1);
        assert_eq!(check(100_900_001), 1);
        assert_eq!(check(0), 100_900_000);
        assert_eq!(clock.seconds_since(90), 10);
        assert_eq!(clock.seconds_since(101), -1);
        assert_eq!(clock.seconds_since(i64::MIN), i64::MAX);
        assert_eq!(clock.until(UNIX_EPOCH), None);
        assert_eq!(clock.to_rfc3339().unwrap(), "1970-01-01T00:01:40Z");
    }

    #[test]
    fn a_moment_before_another_stops_at_the_first_there_is() {
        let at = At::from_micros(5_000_000);
        assert_eq!(at - Duration::from_secs(7), At::from_micros(-2_000_000));
        assert_eq!(at - Duration::MAX, At::from_micros(5_000_000 - i64::MAX));
    }
}
