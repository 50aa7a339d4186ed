//! Names and numbers for users that nobody made one by one.

/// One of the users that were seeded: all about it follows from its index and the seed, so that a
/// million of them take no memory until they are touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    /// The simulator's seed.
    pub seed: u64,
    /// Its place among the seeded users, from 0, which is also the order they signed up in.
    pub index: u64,
}

/// The first seeded user signed up in November 2023, the next ones some seconds apart.
const FIRST_SIGN_UP: i64 = 1_700_000_000_000;
const APART: i64 = 3_000;

impl Seeded {
    /// When the user signed up, in milliseconds since 1970; later for every next index.
    pub fn created_at(self) -> i64 {
        let jitter = i64::try_from(self.number("sign-up") % 2_000).unwrap_or(0);
        let index = i64::try_from(self.index).unwrap_or(i64::MAX / APART / 2);
        FIRST_SIGN_UP + index * APART + jitter
    }

    /// The first index, maybe one too early, whose user signed up at `millis` or later.
    pub(super) fn index_at(millis: i64) -> u64 {
        u64::try_from((millis - FIRST_SIGN_UP).div_euclid(APART)).unwrap_or(0)
    }

    /// A number that is always the same for this user and purpose.
    pub fn number(self, purpose: &str) -> u64 {
        let purpose = purpose
            .bytes()
            .fold(0, |sum: u64, byte| mix(sum ^ u64::from(byte)));
        mix(mix(self.seed ^ purpose).wrapping_add(self.index))
    }

    /// A first and a last name.
    pub fn name(self) -> (&'static str, &'static str) {
        (
            pick(FIRST_NAMES, self.number("first name")),
            pick(LAST_NAMES, self.number("last name")),
        )
    }

    /// A UUID of version 4 that holds the index, so that [`Seeded::of_uuid`] finds it again.
    pub fn uuid(self) -> String {
        let high = mix(self.seed.wrapping_add(self.index) ^ 0x7565_6964);
        let low = mix(high) << 48 | self.hidden_index();
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// The seeded user with this UUID.
    pub fn of_uuid(seed: u64, id: &str) -> Option<Self> {
        let low = uuid::Uuid::parse_str(id).ok()?.as_u64_pair().1;
        let user = Self::of_hidden_index(seed, low);
        (user.uuid() == id).then_some(user)
    }

    /// A ULID of the time of sign-up that holds the index.
    pub(super) fn ulid(self) -> String {
        let high = mix(self.seed.wrapping_add(self.index) ^ 0x756c) & 0xffff_ffff;
        ulid(
            self.created_at(),
            u128::from(high) << 48 | u128::from(self.hidden_index()),
        )
    }

    /// The seeded user with this ULID.
    pub(super) fn of_ulid(seed: u64, id: &str) -> Option<Self> {
        // The last ten digits hold 50 bits.
        let low = id.get(16..)?.bytes().try_fold(0, |number: u64, digit| {
            let value = CROCKFORD.iter().position(|known| *known == digit)?;
            Some(number << 5 | u64::try_from(value).ok()?)
        })?;
        let user = Self::of_hidden_index(seed, low);
        (user.ulid() == id).then_some(user)
    }

    /// 24 hexadecimal digits, as MongoDB's ids have, that hold the index.
    pub(super) fn object_id(self) -> String {
        let high = mix(self.seed.wrapping_add(self.index) ^ 0x6f69) & INDEX_BITS;
        format!("{high:012x}{:012x}", self.hidden_index())
    }

    /// 21 decimal digits, as Google's accounts have, that hold the index.
    pub(super) fn account(self) -> String {
        let high = mix(self.seed.wrapping_add(self.index) ^ 0x6163) % 100_000;
        format!("1{high:05}{:015}", self.hidden_index())
    }

    /// The user that may have this hidden index: whether it does, its id tells.
    pub(super) fn of_hidden_index(seed: u64, hidden: u64) -> Self {
        let spread = (hidden & INDEX_BITS) ^ mask(seed);
        let index = spread.wrapping_mul(GATHER) & INDEX_BITS;
        Self { seed, index }
    }

    /// The index, so that it can be found again, but neighbours' ids don't look alike.
    fn hidden_index(self) -> u64 {
        (self.index.wrapping_mul(SPREAD) & INDEX_BITS) ^ mask(self.seed)
    }
}

fn mask(seed: u64) -> u64 {
    mix(seed ^ 0x6d61_736b) & INDEX_BITS
}

/// Crockford's 32 digits.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 48 bits of milliseconds since 1970 and 80 others, as 26 digits that sort by them.
pub(super) fn ulid(millis: i64, random: u128) -> String {
    let time = u128::try_from(millis).unwrap_or(0) & ((1 << 48) - 1);
    let number = time << 80 | random & ((1 << 80) - 1);
    let digit = |at: u32| {
        let value = usize::try_from(number >> (5 * at) & 31).unwrap_or(0);
        char::from(CROCKFORD[value])
    };
    (0..26).rev().map(digit).collect()
}

const INDEX_BITS: u64 = (1 << 48) - 1;

/// An odd number, and the one that undoes multiplying by it.
const SPREAD: u64 = 0x5851_f42d_4c95;
const GATHER: u64 = 0x0b9c_e301_1ebd;

/// splitmix64: a bijection that looks random.
pub(super) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn pick(from: &[&'static str], number: u64) -> &'static str {
    let at = usize::try_from(number).unwrap_or_default() % from.len();
    from[at]
}

const FIRST_NAMES: &[&str] = &[
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Frances",
    "Ken",
    "Margaret",
    "Dennis",
    "Radia",
    "Tim",
    "Hedy",
    "Linus",
    "Katherine",
    "Niklaus",
    "Jürgen",
    "Zoë",
    "Søren",
    "Nadège",
    "Łukasz",
    "José",
    "Ingrid",
    "Anaïs",
    "Dmitri",
    "梅",
    "Yuki",
    "Aylin",
    "Chidi",
    "Priya",
];

const LAST_NAMES: &[&str] = &[
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Allen",
    "Thompson",
    "Hamilton",
    "Ritchie",
    "Perlman",
    "Berners-Lee",
    "Lamarr",
    "Torvalds",
    "Johnson",
    "Wirth",
    "Müller",
    "O'Brien",
    "Ångström",
    "Nguyễn",
    "Wójcik",
    "García",
    "Sørensen",
    "Dupont",
    "Иванов",
    "李",
    "田中",
    "Yılmaz",
    "Okafor",
    "Patel",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_user_is_found_by_its_uuid() {
        for index in [0, 1, 2, 9_999, 1_000_000, 123_456_789] {
            let user = Seeded { seed: 42, index };
            assert_eq!(Seeded::of_uuid(42, &user.uuid()), Some(user));
            assert_eq!(Seeded::of_uuid(43, &user.uuid()), None);
        }
    }

    #[test]
    fn seeded_users_sign_up_in_the_order_of_their_indices() {
        let at = |index| Seeded { seed: 1, index }.created_at();
        for index in 0..10_000 {
            assert!(at(index) < at(index + 1));
            let first = Seeded::index_at(at(index));
            assert!(first == index, "{first} for {index}");
        }
    }
}
