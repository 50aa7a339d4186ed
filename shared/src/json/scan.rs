//! Reads JSON text from front to back, where it is known to be JSON.
//!
//! Invariants: nothing here recurses; and of text that is no JSON after all, it
//! reads nonsense, but it comes to an end, and does not panic.

use std::borrow::Cow;

use memchr::memchr2;

/// A place in a text.
pub(super) struct Scan<'a> {
    text: &'a str,
    next: usize,
    /// Whether nothing was passed that has to be looked at again before `jsonb`
    /// takes it: no escape, and no exponent.
    pub(super) plain: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            next: 0,
            plain: true,
        }
    }

    /// The byte that comes next.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.next).copied()
    }

    /// Passes so many bytes.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.next += bytes;
    }

    /// Passes an opening bracket, or the colon after a key.
    pub(super) fn pass_mark(&mut self) {
        self.pass(1);
        self.pass_blanks();
    }

    pub(super) fn pass_blanks(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.next += 1;
        }
    }

    /// Passes the comma after a member or an item, if there is one.
    pub(super) fn pass_comma(&mut self) {
        self.pass_blanks();
        if self.peek() == Some(b',') {
            self.pass_mark();
        }
    }

    /// Passes so many bytes, and gives them.
    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let start = self.next;
        self.pass(bytes);
        self.text.get(start..self.next)
    }

    /// Passes a number, and gives it.
    pub(super) fn number(&mut self) -> Option<&'a str> {
        let end = number_end(self.text.as_bytes(), self.next);
        let number = self.take(end - self.next)?;
        (!number.is_empty()).then_some(number)
    }

    /// Passes a string, and gives it with its quotes.
    pub(super) fn string(&mut self) -> Option<Quoted<'a>> {
        let start = self.next;
        let escaped = self.pass_string();
        let quoted = self.text.get(start..self.next)?;
        Some(Quoted { quoted, escaped })
    }

    /// Passes a key, its colon, and the blanks up to the value.
    pub(super) fn key(&mut self) -> Option<Quoted<'a>> {
        let key = self.string()?;
        self.pass_blanks();
        self.pass_mark();
        Some(key)
    }

    /// Passes a value, and gives it.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let start = self.next;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.pass_string();
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.next += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.next += 1;
                }
                b'-' | b'0'..=b'9' => self.pass_number(),
                b't' | b'n' => self.next += 4,
                b'f' => self.next += 5,
                _ => self.next += 1,
            }
            if depth == 0 {
                return self.text.get(start..self.next);
            }
        }
    }

    fn pass_number(&mut self) {
        let end = number_end(self.text.as_bytes(), self.next);
        let number = &self.text.as_bytes()[self.next..end];
        self.plain &= !number.iter().any(|b| matches!(b, b'e' | b'E'));
        self.next = end;
    }

    /// Says whether the string holds an escape.
    fn pass_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.next += 1;
        loop {
            let rest = bytes.get(self.next..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.next = bytes.len();
                break;
            };
            self.next += found + 1;
            if rest[found] == b'"' {
                break;
            }
            escaped = true;
            self.next += 1;
        }
        self.plain &= !escaped;
        escaped
    }
}

/// A string with its quotes.
pub(super) struct Quoted<'a> {
    quoted: &'a str,
    escaped: bool,
}

impl<'a> Quoted<'a> {
    /// As it is written, if it holds no escape.
    pub(super) fn unescaped(&self) -> Option<&'a str> {
        Some(self.quoted).filter(|_| !self.escaped)
    }

    /// What it says; `None` if it holds what is no text (a lone surrogate).
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        match self.escaped {
            true => serde_json::from_str(self.quoted).map(Cow::Owned).ok(),
            false => {
                let end = self.quoted.len().checked_sub(1)?;
                self.quoted.get(1..end).map(Cow::Borrowed)
            }
        }
    }
}

/// The index after the number that starts at `start`.
pub(super) fn number_end(bytes: &[u8], start: usize) -> usize {
    let is_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + bytes[start..].iter().take_while(|b| is_number(b)).count()
}
