//! Connection strings, read as libpq reads them: `postgres://…` and
//! `host=… user=…`.
//!
//! Invariants: a string is read, or refused, exactly as libpq's `PQconninfoParse`
//! does it (PostgreSQL 18; a test compares the two); an error repeats no value,
//! and only names that can't be part of a password.

use std::collections::BTreeMap;

/// All parameters of libpq.
/// Source: <https://www.postgresql.org/docs/18/libpq-connect.html>.
const KNOWN: &[&str] = &[
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "scram_client_key",
    "scram_server_key",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Parameters that other tools, such as Prisma, put there for themselves.
const OF_OTHER_TOOLS: &[&str] = &["connection_limit", "pgbouncer", "pool_timeout", "schema"];

/// After one of these a name may be the rest of a value that should have been
/// encoded or quoted.
const SECRET: &[&str] = &[
    "oauth_client_secret",
    "password",
    "scram_client_key",
    "scram_server_key",
    "sslpassword",
];

/// A connection string's parameters, decoded. If one is there twice, the last
/// counts.
#[derive(Default, PartialEq, Eq)]
pub struct Conninfo {
    values: BTreeMap<&'static str, Vec<u8>>,
    ignored: Vec<&'static str>,
    /// Whether the next name could be part of a password.
    doubtful: bool,
}

impl Conninfo {
    /// Reads a connection string of either form, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("holds a character U+0000".to_owned());
        }
        let mut found = Self::default();
        let prefixes = ["postgresql://", "postgres://"];
        match prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
            Some(rest) => found.read_url(rest.as_bytes())?,
            None => found.read_pairs(text.as_bytes())?,
        }
        Ok(found)
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// All parameters, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.values
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
    }

    /// Parameters of other tools, which mean nothing here.
    pub fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }

    /// Reads the part after `postgres://`.
    fn read_url(&mut self, rest: &[u8]) -> Result<(), String> {
        let end = rest.iter().position(|byte| matches!(byte, b'@' | b'/'));
        let rest = match end {
            Some(end) if rest[end] == b'@' => {
                let (user, password) = split(&rest[..end], b':');
                self.set_decoded("user", user)?;
                self.set_decoded("password", password.unwrap_or_default())?;
                &rest[end + 1..]
            }
            _ => rest,
        };
        // The password's end was taken for the end of another part.
        self.doubtful = rest.contains(&b'@');
        let rest = self.read_hosts(rest)?;
        let query = match rest.split_first() {
            None => return Ok(()),
            Some((b'?', query)) => query,
            Some((_, path)) => {
                let (database, query) = split(path, b'?');
                self.set_decoded("dbname", database)?;
                query.unwrap_or_default()
            }
        };
        self.read_query(query)
    }

    /// Reads `host[:port],…`; gives back the rest.
    fn read_hosts<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], String> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        loop {
            let (host, after) = match rest.split_first() {
                Some((b'[', bracketed)) => bracketed_host(bracketed)?,
                _ => cut(rest, b":/?,"),
            };
            hosts.extend_from_slice(host);
            rest = after;
            if let Some((b':', after)) = rest.split_first() {
                let (port, after) = cut(after, b"/?,");
                ports.extend_from_slice(port);
                rest = after;
            }
            let Some((b',', after)) = rest.split_first() else {
                break;
            };
            hosts.push(b',');
            ports.push(b',');
            rest = after;
        }
        self.set_decoded("host", &hosts)?;
        self.set_decoded("port", &ports)?;
        Ok(rest)
    }

    fn read_query(&mut self, mut rest: &[u8]) -> Result<(), String> {
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let (parameter, after) = split(rest, b'&');
            rest = after.unwrap_or_default();
            let (name, value) = split(parameter, b'=');
            let Some(value) = value else {
                return Err(format!(
                    "has no = in parameter {number} of its query: write name=value, one & between \
                     two, and %26 for an & in a value"
                ));
            };
            if value.contains(&b'=') {
                return Err(format!(
                    "has two = in parameter {number} of its query: write & between two parameters, \
                     ? only before the first, and %3D for an = in a value"
                ));
            }
            let (name, value) = (decode(name)?, decode(value)?);
            if (&*name, &*value) == (b"ssl", b"true") {
                // JDBC spells it so.
                self.set("sslmode", b"require".to_vec());
            } else {
                self.take(&name, value)?;
            }
        }
        Ok(())
    }

    /// Reads `name = value …`, where a value can stand in quotes.
    fn read_pairs(&mut self, mut rest: &[u8]) -> Result<(), String> {
        loop {
            rest = trim_start(rest);
            if rest.is_empty() {
                return Ok(());
            }
            let end = rest
                .iter()
                .position(|byte| is_space(*byte) || *byte == b'=');
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            let Some((b'=', after)) = trim_start(after).split_first() else {
                return Err(
                    "is neither a URL that begins with postgres:// nor a list of name=value"
                        .to_owned(),
                );
            };
            let (value, after) = pair_value(trim_start(after))?;
            self.take(name, value)?;
            rest = after;
        }
    }

    fn take(&mut self, name: &[u8], mut value: Vec<u8>) -> Result<(), String> {
        let mut name = name;
        if name == b"requiressl" {
            // PostgreSQL 7 spelt it so.
            name = b"sslmode";
            value = match value.first() {
                Some(b'1') => b"require".to_vec(),
                _ => b"prefer".to_vec(),
            };
        }
        let known = |names: &[&'static str]| {
            let mut names = names.iter().copied();
            names.find(|known| known.as_bytes() == name)
        };
        if let Some(name) = known(KNOWN) {
            self.doubtful |= SECRET.contains(&name);
            self.set(name, value);
            return Ok(());
        }
        if let Some(name) = known(OF_OTHER_TOOLS) {
            if !self.ignored.contains(&name) {
                self.ignored.push(name);
            }
            return Ok(());
        }
        Err(self.unknown(name))
    }

    fn unknown(&self, name: &[u8]) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.;".contains(byte);
        let name = std::str::from_utf8(name).unwrap_or_default();
        let is_one = (1..=40).contains(&name.len()) && name.as_bytes().iter().all(plain);
        if self.doubtful || !is_one {
            return "has a parameter that isn't known here, whose name may be a part of the \
                    password and so isn't shown: see that @ : / ? & = and % in user and password \
                    are percent-encoded"
                .to_owned();
        }
        if name.starts_with("amp;") {
            return format!(
                "has the parameter {name:?}: it was copied out of HTML; write & in place of &amp;"
            );
        }
        format!(
            "has the parameter {name:?}, which isn't known here: correct it, or take it out \
             (libpq's are known)"
        )
    }

    fn set(&mut self, name: &'static str, value: Vec<u8>) {
        self.values.insert(name, value);
    }

    /// Sets a user, password, host, port or database, each of which can be left out.
    fn set_decoded(&mut self, name: &'static str, encoded: &[u8]) -> Result<(), String> {
        if !encoded.is_empty() {
            self.set(name, decode(encoded)?);
        }
        Ok(())
    }
}

/// The text in brackets, and the rest.
fn bracketed_host(rest: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (host, after) = split(rest, b']');
    let Some(after) = after.filter(|_| !host.is_empty()) else {
        return Err("has no IPv6 address between [ and ]".to_owned());
    };
    if after.first().is_some_and(|byte| !b":/?,".contains(byte)) {
        return Err("has something after ] that is neither port, path nor query".to_owned());
    }
    Ok((host, after))
}

/// A value of the other form, and the rest.
fn pair_value(rest: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let quoted = rest.first() == Some(&b'\'');
    let mut value = Vec::new();
    let mut at = usize::from(quoted);
    while let Some(byte) = rest.get(at) {
        at += 1;
        match byte {
            b'\\' => {
                value.extend(rest.get(at));
                at += 1;
            }
            b'\'' if quoted => return Ok((value, &rest[at..])),
            byte if !quoted && is_space(*byte) => break,
            byte => value.push(*byte),
        }
    }
    if quoted {
        return Err("has a quoted value without an end".to_owned());
    }
    Ok((value, rest.get(at..).unwrap_or_default()))
}

/// Decodes a value as libpq does since PostgreSQL 17: spaces around it are not part
/// of it, and spaces within it have to be encoded.
fn decode(encoded: &[u8]) -> Result<Vec<u8>, String> {
    let start = encoded.iter().position(|byte| *byte != b' ');
    let encoded = &encoded[start.unwrap_or(encoded.len())..];
    let (encoded, spaces) = cut(encoded, b" ");
    if spaces.iter().any(|byte| *byte != b' ') {
        return Err("has a space within a value: write %20 for it".to_owned());
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                digit()
                    .zip(digit())
                    .and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
                    .ok_or("has a % that two hexadecimal digits don't follow: write %25 for a %")?
            }
            byte => *byte,
        };
        if byte == 0 {
            return Err("has a %00".to_owned());
        }
        decoded.push(byte);
    }
    Ok(decoded)
}

/// White space as C's `isspace` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte));
    &text[start.unwrap_or(text.len())..]
}

/// The text before the first `separator` and, if there is one, after it.
fn split(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The text before the first of `ends`, and the rest from that one on.
fn cut<'a>(text: &'a [u8], ends: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = text.iter().position(|byte| ends.contains(byte));
    text.split_at(at.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = Conninfo::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (name, std::str::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    fn refused(text: &str) -> String {
        Conninfo::parse(text).err().expect(text)
    }

    #[test]
    fn each_part_ends_where_libpq_has_it_end() {
        check(
            "postgres://u:p?w@h/DB?sslmode=require",
            &[
                ("dbname", "DB"),
                ("host", "h"),
                ("password", "p?w"),
                ("sslmode", "require"),
                ("user", "u"),
            ],
        );
        check(
            "postgresql://[::1]:5,h2/d/e;f?ssl%6Dode=disable&host=x&host=%2Ftmp",
            &[
                ("dbname", "d/e;f"),
                ("host", "/tmp"),
                ("port", "5,"),
                ("sslmode", "disable"),
            ],
        );
        check(
            r"host = h user='a \'b' password=c\ d",
            &[("host", "h"), ("password", "c d"), ("user", "a 'b")],
        );
        check(
            "postgres://h?ssl=true",
            &[("host", "h"), ("sslmode", "require")],
        );
    }

    #[test]
    fn an_address_that_libpq_refuses_is_refused() {
        for text in [
            "postgres://u@h/d?application_name=x?sslmode=verify-full",
            "postgres://u@h/d?sslrootcert=/x.pem?sslmode=verify-full",
            "postgres://u@h/d?&",
            "postgres://u@h/d?sslmode=require&&connect_timeout=5",
            "postgres://u:5%@h/d",
            "postgres://u:%00@h/d",
            "postgres://[::1/d",
            "postgres://[]/d",
            "postgres://[::1]x/d",
            "postgres://u@h/d?application_name=a b",
            "host=h user='u",
            "mysql://h/d",
            "POSTGRES://h/d",
        ] {
            refused(text);
        }
    }

    #[test]
    fn a_name_is_shown_unless_it_may_be_part_of_a_password() {
        for (text, name) in [
            ("postgres://u:p@h/d?foo=hidden", "\"foo\""),
            (
                "postgres://u:p@h/d?sslmode=require&amp;channel_binding=require",
                "\"amp;channel_binding\"",
            ),
            ("host=h foo=hidden", "\"foo\""),
        ] {
            let error = refused(text);
            assert!(error.contains(name) && !error.contains("hidden"), "{error}");
        }
        for text in [
            "postgres://u:hid@den/den?hidden=hidden@h/d",
            "postgres://u:1/d?hidden=hidden@h/d",
            "postgres://u@h/d?password=hid&hidden=x",
            "host=h password=hid hidden=x",
            "postgres://u:p@h/d?hidden%20hidden=x",
            "postgres://u:p@h/d?=hidden",
        ] {
            let error = refused(text);
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn other_tools_parameters_are_ignored() {
        let text =
            "postgres://u@h/d?pgbouncer=true&schema=public&connection_limit=1&pool_timeout=0";
        let found = Conninfo::parse(text).unwrap();
        assert_eq!(
            found.ignored(),
            ["pgbouncer", "schema", "connection_limit", "pool_timeout"]
        );
        assert_eq!(found.iter().count(), 3);
    }
}
