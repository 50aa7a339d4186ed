//! The name of the schema, in place of `neon_identity` in the SQL files.

use std::borrow::Cow;

use crate::settings::Misconfigured;

/// The schema that holds `users_sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(String);

const DEFAULT: &str = "neon_identity";

impl Default for Schema {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl Schema {
    /// Takes a name that needs no quotes and leaves room for the roles' names
    /// (63 bytes in PostgreSQL).
    pub fn new(name: &str) -> Result<Self, Misconfigured> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let sound = (1..=54).contains(&name.len())
            && name.bytes().all(plain)
            && !name.starts_with(|c: char| c.is_ascii_digit())
            // Roles are named after it, and pg_writer would be reserved.
            && name != "pg"
            && !name.starts_with("pg_");
        if !sound {
            return Err(Misconfigured {
                field: "SCHEMA".to_owned(),
                problem: "is not a name of at most 54 lower-case letters, digits and _ (and not \
                          pg or pg_…)"
                    .to_owned(),
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A statement, written for `neon_identity`, for this schema.
    pub fn of<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        if self.0 == DEFAULT {
            return Cow::Borrowed(sql);
        }
        let mut renamed = String::with_capacity(sql.len() + 64);
        let mut parts = sql.split(DEFAULT);
        renamed.push_str(parts.next().unwrap_or_default());
        for after in parts {
            // Roles are named after the schema; the schema may be a reserved word.
            let quote = if after.starts_with('_') { "" } else { "\"" };
            renamed.extend([quote, &self.0, quote, after]);
        }
        Cow::Owned(renamed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schemas_name_needs_no_quotes() {
        let check = |name: &str| Schema::new(name).is_ok();
        assert!(check("neon_identity") && check("auth2") && check("_x"));
        let long = "x".repeat(55);
        for bad in [
            "",
            "Auth",
            "a-b",
            "a\"b",
            "2a",
            "pg_x",
            "a b",
            long.as_str(),
        ] {
            assert!(!check(bad), "{bad}");
        }
    }

    #[test]
    fn statements_are_renamed_whole() {
        let sql = "GRANT USAGE ON SCHEMA neon_identity TO neon_identity_writer; neon_identity.t";
        assert_eq!(
            Schema::new("order").unwrap().of(sql),
            r#"GRANT USAGE ON SCHEMA "order" TO order_writer; "order".t"#
        );
        // A name may hold the default's.
        assert_eq!(
            Schema::new("neon_identity_dev").unwrap().of(sql),
            r#"GRANT USAGE ON SCHEMA "neon_identity_dev" TO neon_identity_dev_writer; "neon_identity_dev".t"#
        );
        assert_eq!(Schema::default().of(sql), sql);
    }
}
