//! Times as most providers write them.

const DAY: i64 = 86_400_000;

/// `2025-02-01T12:34:56.123Z` for milliseconds since 1970.
pub(super) fn millis(at: i64) -> String {
    let (day, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = date(day);
    let (seconds, millis) = (rest / 1_000, rest % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The same as Go writes it: a fraction without zeros at its end.
pub(super) fn short(at: i64) -> String {
    let text = millis(at);
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    // A whole second has lost its fraction; 12:34:50 must not lose its zero.
    match text.strip_suffix('.') {
        Some(whole) => format!("{whole}Z"),
        None => format!("{text}Z"),
    }
}

/// Milliseconds since 1970 for such a time, with any fraction or none, and with `Z` or an offset;
/// or for a date, its midnight.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let clock = |text: &str| {
        let mut parts = text.splitn(3, ':').map(str::parse::<i64>);
        let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let second = parts.next().unwrap_or(Ok(0)).ok()?;
        Some(hour * 3_600 + minute * 60 + second)
    };
    let offset = match zone.split_at(1) {
        ("Z", "") => 0,
        ("+", offset) => clock(offset)?,
        ("-", offset) => -clock(offset)?,
        _ => return None,
    };
    let millis: i64 = match fraction {
        "" => 0,
        digits => format!("{digits:0<3}").get(..3)?.parse().ok()?,
    };
    Some(days(year, month, day) * DAY + (clock(time)? - offset) * 1_000 + millis)
}

/// Year, month and day of a day since 1970 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a year, month and day.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for at in [0, 951_782_399_999, 951_782_400_000, 1_776_902_400_120, -1] {
            assert_eq!(parse(&millis(at)), Some(at));
            assert_eq!(parse(&short(at)), Some(at));
        }
        assert_eq!(millis(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(short(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(short(1_776_902_400_120), "2026-04-23T00:00:00.12Z");
    }

    #[test]
    fn offsets_dates_and_long_fractions_are_read() {
        let noon = parse("2025-02-01T12:00:00Z");
        assert_eq!(parse("2025-02-01T13:30:00.000000+01:30"), noon);
        assert_eq!(parse("2025-02-01 11:00:00-01"), None);
        assert_eq!(parse("2025-02-01"), noon.map(|noon| noon - DAY / 2));
        for wrong in ["", "yesterday", "2025-13-01", "2025-02-01T12:00:00"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
