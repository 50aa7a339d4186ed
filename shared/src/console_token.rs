//! The token that opens `console`, and what is signed with it.
//!
//! Invariant: nothing here shows the token, and nothing compares it in a time
//! that tells how much of it was right.

use std::fmt;
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes that a token has at least.
const SHORTEST: usize = 24;

/// The secret's `console_token`.
#[derive(Clone)]
pub struct ConsoleToken(String);

impl ConsoleToken {
    /// Takes a token that nobody guesses.
    pub fn new(token: String) -> Result<Self, &'static str> {
        match token.len() {
            SHORTEST.. => Ok(Self(token)),
            _ => Err(
                "is shorter than 24 bytes: let a machine make one up, as with \
                      openssl rand -base64 32",
            ),
        }
    }

    /// Whether this is the token.
    pub fn is(&self, given: &str) -> bool {
        let mut mac = self.mac("token");
        mac.update(self.0.as_bytes());
        self.verify("token", given, &hex(&mac.finalize().into_bytes()))
    }

    /// A signature of a text for one purpose, which ends with the token.
    pub fn sign(&self, purpose: &str, text: &str) -> String {
        let mut mac = self.mac(purpose);
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Whether [`ConsoleToken::sign`] made this signature.
    pub fn verify(&self, purpose: &str, text: &str, signature: &str) -> bool {
        let mut mac = self.mac(purpose);
        mac.update(text.as_bytes());
        unhex(signature).is_some_and(|signature| mac.verify_slice(&signature).is_ok())
    }

    fn mac(&self, purpose: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("any key length");
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac
    }
}

impl fmt::Debug for ConsoleToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsoleToken(…)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    if !is_hex || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> ConsoleToken {
        ConsoleToken::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_token_is_itself_and_no_other() {
        let known = token("a token of 24 characters");
        assert!(known.is("a token of 24 characters"));
        for other in [
            "",
            "a",
            "a token of 24 character",
            "a token of 24 characters ",
        ] {
            assert!(!known.is(other), "{other:?}");
        }
    }

    #[test]
    fn a_signature_holds_for_one_text_one_purpose_and_one_token() {
        let known = token("a token of 24 characters");
        let signature = known.sign("session", "1.2.3");
        assert!(known.verify("session", "1.2.3", &signature));
        assert!(!known.verify("session", "1.2.4", &signature));
        assert!(!known.verify("form", "1.2.3", &signature));
        let other = token("a token of 24 characterS");
        assert!(!other.verify("session", "1.2.3", &signature));
        for garbled in [
            "",
            "0",
            "zz",
            "+f",
            &signature[1..],
            &format!("{signature}00"),
            "ü",
        ] {
            assert!(!known.verify("session", "1.2.3", garbled), "{garbled}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let shown = format!("{:?}", token("a token of 24 characters"));
        assert!(!shown.contains("characters"), "{shown}");
    }
}
