//! The events in `events/` are the ones that providers sign and that the functions take.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::tools::workspace;

use super::files;
use super::packages::packages_of_functions;

#[test]
fn each_signed_body_has_the_bytes_that_were_signed() {
    use sha2::{Digest, Sha256};
    let vectors = read_json(&workspace().join("events/vectors.json"));
    let vectors = vectors["vectors"].as_array().expect("a list of vectors");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let name = vector[0].as_str().expect("a name");
        let body = fs::read(workspace().join(format!("events/{name}.json"))).expect(name);
        let digest: String = Sha256::digest(&body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(vector[1], body.len(), "{name}: length");
        assert_eq!(vector[2], digest[..16], "{name}: SHA-256");
    }
}

#[test]
fn each_lambda_event_is_one_that_its_function_takes() {
    let folder = workspace().join("events/lambda");
    let mut invoked = BTreeSet::new();
    for file in files(&folder, "json") {
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let (function, event) = (name.split('.').next().unwrap_or_default(), read_json(&file));
        invoked.insert(function.to_owned());
        let keys: Vec<&str> = event
            .as_object()
            .expect(&name)
            .keys()
            .map(String::as_str)
            .collect();
        match function {
            "webhook" | "console" => {
                // Payload format 2.0 has it in one place, all others in the other.
                let method = match event["version"] == "2.0" {
                    true => &event["requestContext"]["http"]["method"],
                    false => &event["httpMethod"],
                };
                assert!(method.is_string(), "{name}");
                assert!(event["requestContext"].is_object(), "{name}");
            }
            "reconcile" if name.contains("scheduled") => {
                assert_eq!(event["detail-type"], "Scheduled Event")
            }
            "reconcile" => assert!(
                keys.iter()
                    .all(|key| ["dry_run", "max_deletes"].contains(key)),
                "{name}"
            ),
            "provision" if keys.is_empty() => {}
            "provision" => {
                for key in [
                    "RequestType",
                    "ResponseURL",
                    "StackId",
                    "RequestId",
                    "LogicalResourceId",
                ] {
                    assert!(event[key].is_string(), "{name}: {key}");
                }
            }
            _ => panic!("{name} is for none of the functions"),
        }
    }
    assert_eq!(
        invoked,
        packages_of_functions(),
        "each function has an event to try"
    );
}

#[test]
fn the_lambda_events_of_a_delivery_carry_the_providers_bytes() {
    for kind in ["created", "updated", "deleted"] {
        let sent = read_json(&workspace().join(format!("events/stack/webhook_user_{kind}.json")));
        let event = read_json(&workspace().join(format!("events/lambda/webhook.user.{kind}.json")));
        assert_eq!(event["body"], sent["body"], "{kind}");
        for (name, value) in sent["headers"].as_object().expect("headers") {
            assert_eq!(&event["headers"][name], value, "{kind}: {name}");
        }
    }
}

fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
