//! JSON text as PostgreSQL prints it once it is `jsonb`.
//!
//! The walk prints every user of every run, so the text is read once, from front
//! to back, and a string without escapes is printed as it stands: each member is printed as it comes, and the members of an object are
//! put into `jsonb`'s order when the object ends.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use serde_json::value::RawValue;

use super::MOST_EXPONENT;
use super::scan::{Quoted, Scan};

/// The depth beyond which the printing is left to PostgreSQL.
const MOST_DEPTH: u32 = 64;

/// Whether two JSON texts mean the same to `jsonb`; false if that is in doubt.
pub fn same(a: &str, b: &str) -> bool {
    let print = |raw: &str| {
        let mut out = String::new();
        print_jsonb(raw, &mut out).map(|()| out)
    };
    a == b || print(a).is_some_and(|a| Some(a) == print(b))
}

/// Prints JSON text as PostgreSQL prints it as `jsonb`: keys by length, then by
/// bytes, and the last of equal ones; `", "` and `": "`; numbers as `numeric`.
/// `None` if only PostgreSQL can tell (deep nesting, bad escapes).
///
/// Source: PostgreSQL's `jsonb.c` (`JsonbToCString`), `jsonb_util.c`
/// (`lengthCompareJsonbStringValue`), `json.c` (`escape_json`).
pub fn print_jsonb(raw: &str, out: &mut String) -> Option<()> {
    let raw: &RawValue = serde_json::from_str(raw).ok()?;
    print_known(raw.get(), &[], out)
}

/// The same of text that is known to be JSON, without these fields of the object, as
/// `jsonb - text[]` does it.
pub(crate) fn print_known(json: &str, fields: &[&str], out: &mut String) -> Option<()> {
    let mut printer = Printer {
        scan: Scan::new(json),
        members: Vec::with_capacity(64),
        ordered: String::new(),
        out,
    };
    printer.scan.pass_blanks();
    printer.value(fields, 0)
}

/// Prints a text that is known to be JSON.
struct Printer<'a, 'o> {
    scan: Scan<'a>,
    /// The members of the objects that are open, the innermost object's last.
    members: Vec<Member<'a>>,
    /// An object in the making whose members change places.
    ordered: String,
    out: &'o mut String,
}

/// A member that is printed already.
struct Member<'a> {
    key: Cow<'a, str>,
    /// Where it stands in the output, key and all.
    printed: Range<usize>,
}

/// Shorter keys come first, and those of one length by their bytes.
fn jsonb_order(a: &Member<'_>, b: &Member<'_>) -> Ordering {
    let (a, b) = (a.key.as_bytes(), b.key.as_bytes());
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl<'a> Printer<'a, '_> {
    fn value(&mut self, left_out: &[&str], depth: u32) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        match self.scan.peek()? {
            b'{' => self.object(left_out, depth),
            b'[' => self.array(depth),
            b'"' => {
                let string = self.scan.string()?;
                self.string(&string, &string.text()?);
                Some(())
            }
            b't' | b'n' => self.word(4),
            b'f' => self.word(5),
            _ => print_number(self.scan.number()?, self.out),
        }
    }

    fn object(&mut self, left_out: &[&str], depth: u32) -> Option<()> {
        self.out.push('{');
        let (first, begin) = (self.members.len(), self.out.len());
        self.scan.pass_mark();
        while self.scan.peek()? != b'}' {
            let string = self.scan.key()?;
            let key = string.text()?;
            if left_out.contains(&&*key) {
                self.scan.value()?;
                self.scan.pass_comma();
                continue;
            }
            if self.members.len() > first {
                self.out.push_str(", ");
            }
            let start = self.out.len();
            self.string(&string, &key);
            self.out.push_str(": ");
            self.value(&[], depth + 1)?;
            let printed = start..self.out.len();
            self.members.push(Member { key, printed });
            self.scan.pass_comma();
        }
        self.scan.pass(1);
        self.order(first, begin);
        self.out.push('}');
        Some(())
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        self.out.push('[');
        let begin = self.out.len();
        self.scan.pass_mark();
        while self.scan.peek()? != b']' {
            if self.out.len() > begin {
                self.out.push_str(", ");
            }
            self.value(&[], depth + 1)?;
            self.scan.pass_comma();
        }
        self.scan.pass(1);
        self.out.push(']');
        Some(())
    }

    /// Puts the members from `first` on, printed from `begin` on, into the order
    /// of `jsonb`.
    fn order(&mut self, first: usize, begin: usize) {
        let members = &mut self.members[first..];
        let in_order = members.is_sorted_by(|a, b| jsonb_order(a, b) == Ordering::Less);
        if !in_order {
            // Of equal keys the last one counts.
            members.sort_unstable_by(|a, b| {
                jsonb_order(a, b).then(b.printed.start.cmp(&a.printed.start))
            });
            self.ordered.clear();
            let mut before = None;
            for member in members.iter() {
                if before.replace(&member.key) == Some(&member.key) {
                    continue;
                }
                if !self.ordered.is_empty() {
                    self.ordered.push_str(", ");
                }
                self.ordered.push_str(&self.out[member.printed.clone()]);
            }
            self.out.truncate(begin);
            self.out.push_str(&self.ordered);
        }
        self.members.truncate(first);
    }

    /// Most strings print as they are written.
    fn string(&mut self, string: &Quoted<'_>, text: &str) {
        match string.unescaped() {
            Some(written) => self.out.push_str(written),
            None => print_string(text, self.out),
        }
    }

    fn word(&mut self, length: usize) -> Option<()> {
        self.out.push_str(self.scan.take(length)?);
        Some(())
    }
}

/// Prints a JSON string as PostgreSQL's `escape_json` does.
fn print_string(text: &str, out: &mut String) {
    out.push('"');
    let mut kept = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[kept..i]);
        kept = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x8 => out.push_str("\\b"),
            0xC => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
    }
    out.push_str(&text[kept..]);
    out.push('"');
}

/// Prints a JSON number as `numeric` does: without an exponent, and with the
/// trailing zeros it was written with.
fn print_number(raw: &str, out: &mut String) -> Option<()> {
    // Most numbers are whole, and print as they stand.
    if raw.bytes().all(|b| b.is_ascii_digit()) {
        out.push_str(raw);
        return Some(());
    }
    let (mantissa, exponent) = match raw.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (raw, 0),
    };
    if exponent.unsigned_abs() > u64::from(MOST_EXPONENT) {
        return None;
    }
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // Where the decimal point stands among the digits; it may lie outside.
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let scale = usize::try_from((i64::try_from(fraction.len()).ok()? - exponent).max(0)).ok()?;

    let mut before = String::new();
    let mut after = String::new();
    for (i, digit) in (0_i64..).zip(digits.chars()) {
        if i < point {
            before.push(digit);
        } else {
            after.push(digit);
        }
    }
    for _ in i64::try_from(digits.len()).ok()?..point {
        before.push('0');
    }
    if point < 0 {
        after.insert_str(0, &"0".repeat(usize::try_from(-point).ok()?));
    }
    after.truncate(scale);
    let before = before.trim_start_matches('0');
    let zero = before.is_empty() && after.bytes().all(|b| b == b'0');
    if negative && !zero {
        out.push('-');
    }
    out.push_str(if before.is_empty() { "0" } else { before });
    if scale > 0 {
        out.push('.');
        out.push_str(&after);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_numeric_prints_them() {
        let check = |raw: &str, expected: &str| {
            let mut out = String::new();
            print_number(raw, &mut out).unwrap();
            assert_eq!(out, expected, "{raw}");
        };
        check("0", "0");
        check("-0", "0");
        check("-0.00", "0.00");
        check("1.50e1", "15.0");
        check("1.50e3", "1500");
        check("1E-3", "0.001");
        check("-12.5e-1", "-1.25");
        check("0.00e1", "0.0");
        check("0e5", "0");
        check(
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        );
    }

    #[test]
    fn keys_print_by_length_then_bytes() {
        let mut out = String::new();
        print_jsonb(
            r#"{"b":[],"aa":{},"a":"\u00e9\u0001\u007f/","a":"\/"}"#,
            &mut out,
        )
        .unwrap();
        assert_eq!(out, r#"{"a": "/", "b": [], "aa": {}}"#);
    }
}
