//! A CloudFormation custom resource: what it asks, and how it is answered.
//!
//! Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use shared::exchange::Request;

/// A custom resource's event.
pub struct Resource<'a> {
    event: &'a Value,
    response_url: &'a str,
}

impl<'a> Resource<'a> {
    /// `None` for an event that is not a custom resource's.
    pub fn of(event: &'a Value) -> Option<Self> {
        event.get("RequestType")?;
        let response_url = event.get("ResponseURL")?.as_str()?;
        Some(Self {
            event,
            response_url,
        })
    }

    /// Whether the stack is being deleted.
    pub fn is_deletion(&self) -> bool {
        self.event["RequestType"] == "Delete"
    }

    /// The answer to put at the `ResponseURL`, which is signed for an empty
    /// content type.
    pub fn answer(&self, provisioned: &Result<Value>) -> Result<Request> {
        // A new id would make CloudFormation delete the resource that has the old one.
        let id = self.event["PhysicalResourceId"]
            .as_str()
            .unwrap_or("users-sync");
        let mut answer = json!({
            "Status": if provisioned.is_ok() { "SUCCESS" } else { "FAILED" },
            "PhysicalResourceId": id,
            "StackId": self.event["StackId"],
            "RequestId": self.event["RequestId"],
            "LogicalResourceId": self.event["LogicalResourceId"],
        });
        match provisioned {
            Ok(data) if data["schema"].is_string() => {
                answer["Data"] = json!({"Schema": data["schema"], "Version": data["version"]});
            }
            // A deletion has nothing to report.
            Ok(_) => {}
            Err(error) => answer["Reason"] = short(&format!("{error:#}")).into(),
        }
        http::Request::put(self.response_url)
            .header("content-type", "")
            .body(answer.to_string().into())
            .context("read ResponseURL")
    }
}

/// CloudFormation takes 4096 bytes in all.
fn short(reason: &str) -> String {
    reason.chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, provisioned: Result<Value>) -> Value {
        let event: Value = serde_json::from_str(event).unwrap();
        let request = Resource::of(&event).unwrap().answer(&provisioned).unwrap();
        assert_eq!(request.method(), "PUT");
        assert_eq!(request.headers()["content-type"], "");
        serde_json::from_slice(request.body()).unwrap()
    }

    #[test]
    fn an_answer_names_what_was_asked() {
        let event = include_str!("../../../events/lambda/provision.create.json");
        let asked: Value = serde_json::from_str(event).unwrap();
        let answer = check(event, Ok(json!({"schema": "neon_identity", "version": 1})));
        assert_eq!(answer["Status"], "SUCCESS");
        for field in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(answer[field], asked[field], "{field}");
        }
        assert_eq!(answer["Data"]["Version"], 1);
    }

    #[test]
    fn a_failure_says_why_within_the_limit() {
        let event = include_str!("../../../events/lambda/provision.update.json");
        let answer = check(event, Err(anyhow::anyhow!("x".repeat(5000))));
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["Reason"].as_str().map(str::len), Some(1000));
        let asked: Value = serde_json::from_str(event).unwrap();
        assert_eq!(answer["PhysicalResourceId"], asked["PhysicalResourceId"]);
    }

    #[test]
    fn an_empty_event_is_no_resource() {
        assert!(Resource::of(&json!({})).is_none());
        assert!(Resource::of(&json!({"RequestType": "Create"})).is_none());
    }
}
