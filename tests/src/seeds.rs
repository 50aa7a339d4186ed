//! The seeds of random tests: the same each time, so that a test turns red only if something was
//! changed.
//!
//! `make test SEED=7` draws others, from the seed 7 on; a test that fails names the seed. Names of
//! databases, folders and ports are drawn anew each time ([`crate::tools`]): other processes use
//! the same machine.

use std::ops::Range;

use fastrand::Rng;

/// The first seed: `SEED`, or 1.
pub fn first() -> u64 {
    let seed = std::env::var("SEED").ok().filter(|seed| !seed.is_empty());
    seed.map_or(1, |seed| seed.parse().expect("SEED is not a whole number"))
}

/// As many seeds in a row.
pub fn seeds(count: u64) -> Range<u64> {
    first()..first().saturating_add(count)
}

/// A generator for this purpose, which is not that of any other.
pub fn random(purpose: &str) -> Rng {
    let mixed = purpose.bytes().fold(first(), |mixed, byte| {
        (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Rng::with_seed(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_draws_the_same_each_time_and_not_what_another_one_draws() {
        let draw = |purpose| random(purpose).u64(..);
        assert_eq!(draw("one"), draw("one"));
        assert_ne!(draw("one"), draw("two"));
        assert_eq!(seeds(3).count(), 3);
    }
}
