//! Messages of a provider to its subscribers, before anything signs or sends them.

use std::time::Duration;

use bytes::Bytes;

/// One event to be delivered. Every attempt to deliver it carries the same id and the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `msg_` and a KSUID: stable over retries and duplicates.
    pub id: String,
    /// The event's type, such as `user.created`.
    pub kind: String,
    /// The body, to be sent and signed byte for byte.
    pub body: Bytes,
    /// When the message was made, in milliseconds since 1970.
    pub made_at: i64,
}

impl Message {
    /// A message made at `now`, its id drawn from `random`.
    pub fn new(
        kind: impl Into<String>,
        body: impl Into<Bytes>,
        now: i64,
        random: &mut fastrand::Rng,
    ) -> Self {
        Self {
            id: format!("msg_{}", ksuid(now, random)),
            kind: kind.into(),
            body: body.into(),
            made_at: now,
        }
    }

    /// The same, made so much earlier, as its id tells.
    #[must_use]
    pub fn older(&self, by: Duration) -> Self {
        let earlier = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let message = self.clone();
        Self::new(
            message.kind,
            message.body,
            message.made_at.saturating_sub(earlier),
            &mut fastrand::Rng::new(),
        )
    }
}

/// Svix's ids count seconds from here; so do all KSUIDs.
const KSUID_EPOCH: i64 = 1_400_000_000;

/// Svix's flavour: 4 bytes of seconds, 1 byte of milliseconds ÷ 4, 15 random bytes, in base62.
fn ksuid(now: i64, random: &mut fastrand::Rng) -> String {
    let seconds = u32::try_from(now.div_euclid(1000) - KSUID_EPOCH).unwrap_or(0);
    let quarter = u8::try_from(now.rem_euclid(1000) / 4).unwrap_or(u8::MAX);
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4] = quarter;
    random.fill(&mut bytes[5..]);
    base62(bytes)
}

/// A 20-byte number as 27 digits, most significant first.
fn base62(mut number: [u8; 20]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 27];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0usize;
        for byte in &mut number {
            let value = rest * 256 + usize::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *digit = DIGITS[rest];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_prefix_and_27_base62_digits() {
        let message = Message::new("user.created", "{}", 1_776_902_400_123, &mut random());
        let digits = message.id.strip_prefix("msg_").unwrap();
        assert_eq!(digits.len(), 27);
        assert!(digits.bytes().all(|digit| digit.is_ascii_alphanumeric()));
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let mut random = random();
        let early = Message::new("a", "", 1_776_902_400_000, &mut random);
        let late = Message::new("a", "", 1_776_902_400_008, &mut random);
        assert!(early.id < late.id);
    }

    #[test]
    fn an_id_made_in_april_2026_begins_as_svix_ids_of_that_month_do() {
        let message = Message::new("a", "", 1_776_902_400_000, &mut random());
        assert!(message.id.starts_with("msg_3Cj"), "{}", message.id);
    }

    fn random() -> fastrand::Rng {
        fastrand::Rng::with_seed(7)
    }
}
