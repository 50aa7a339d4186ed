//! The request of an invocation.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::resource::Resource;

/// The options of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A person waits for whether all is well.
    pub(crate) deploying: bool,
    /// Whether to take over a table `users_sync` that is in the schema.
    pub(crate) adopt: bool,
}

impl Asked {
    /// Reads an event; CloudFormation makes a string of every property.
    pub(crate) fn of(event: &Value) -> Result<Self> {
        let deploying = Resource::of(event).is_some();
        let (name, adopt) = match deploying {
            true => ("Adopt", &event["ResourceProperties"]["Adopt"]),
            false => ("adopt", &event["adopt"]),
        };
        let adopt = match adopt {
            Value::Null => false,
            Value::Bool(adopt) => *adopt,
            Value::String(adopt) if adopt == "true" => true,
            Value::String(adopt) if adopt == "false" => false,
            _ => bail!("{name} is neither true nor false: correct the invocation"),
        };
        Ok(Self { deploying, adopt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(event: &Value, deploying: bool, adopt: bool) {
        let expected = Asked { deploying, adopt };
        assert_eq!(Asked::of(event).unwrap(), expected, "{event}");
    }

    fn resource(properties: Value) -> Value {
        json!({"RequestType": "Create", "ResponseURL": "https://x", "ResourceProperties": properties})
    }

    #[test]
    fn a_table_is_taken_over_only_where_somebody_says_so() {
        for event in [
            json!({}),
            json!({"more": 1}),
            json!({"Adopt": true}),
            json!([1]),
            json!(null),
        ] {
            check(&event, false, false);
        }
        check(&json!({"adopt": false}), false, false);
        check(&json!({"adopt": true}), false, true);
        check(&json!({"adopt": "true"}), false, true);
        check(&resource(json!({})), true, false);
        check(&resource(json!({"adopt": "true"})), true, false);
        check(&resource(json!({"Adopt": "false"})), true, false);
        check(&resource(json!({"Adopt": "true"})), true, true);
        check(&resource(json!({"Adopt": true})), true, true);
    }

    #[test]
    fn neither_true_nor_false_is_refused_by_name() {
        for (event, name) in [
            (json!({"adopt": "yes"}), "adopt"),
            (json!({"adopt": 1}), "adopt"),
            (json!({"adopt": {}}), "adopt"),
            (resource(json!({"Adopt": "TRUE"})), "Adopt"),
            (resource(json!({"Adopt": ""})), "Adopt"),
        ] {
            let error = Asked::of(&event).unwrap_err().to_string();
            assert!(error.starts_with(name), "{event}: {error}");
        }
    }
}
