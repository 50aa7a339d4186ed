//! Times as most APIs write them: `2026-04-23T00:00:00.000Z`.

use jiff::Timestamp;

/// Milliseconds since 1970 as text.
pub(super) fn text(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or_default();
    format!("{time:.3}")
}

/// The same as Go writes it: a fraction without zeros at its end.
pub(super) fn short(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or_default();
    time.to_string()
}

/// The milliseconds since 1970 of a text.
pub(super) fn millis(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits_of_milliseconds_and_a_z() {
        assert_eq!(text(1_776_902_400_000), "2026-04-23T00:00:00.000Z");
        assert_eq!(text(1_776_902_400_120), "2026-04-23T00:00:00.120Z");
        assert_eq!(millis(&text(1_776_902_400_120)), Some(1_776_902_400_120));
    }

    #[test]
    fn go_leaves_zeros_out_and_offsets_are_read() {
        assert_eq!(short(1_776_902_400_000), "2026-04-23T00:00:00Z");
        assert_eq!(short(1_776_902_450_120), "2026-04-23T00:00:50.12Z");
        let offset = "2026-04-23T01:30:00.000000+01:30";
        assert_eq!(millis(offset), Some(1_776_902_400_000));
        assert_eq!(millis("yesterday"), None);
    }
}
