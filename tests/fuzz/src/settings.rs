//! Inputs that the operator, the scheduler and CloudFormation write: the secret, a database's URL, an
//! invocation's event, a time.

use provision::Resource;
use serde_json::{Value, json};
use shared::profile::UserId;
use shared::secret::Secret;
use shared::store::Target;
use shared::store::conninfo::Conninfo;
use shared::time::At;

use crate::providers::check_request;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(at) = At::from_rfc3339(text) {
        assert_eq!(At::from_rfc3339(&at.to_rfc3339()), Some(at));
    }
    check_url(text);
    match Secret::parse(text) {
        Ok(secret) => {
            check_url(&secret.database_url);
            check_requests(&secret);
            assert_eq!(format!("{secret:?}"), "Secret(…)");
        }
        Err(error) => assert!(error.to_string().len() > 8),
    }
    let Ok(event) = serde_json::from_str::<Value>(text) else {
        return;
    };
    match reconcile::Request::read(&event) {
        Ok(request) => assert!(request.max_deletes.is_none_or(|most| most >= 0)),
        Err(reason) => assert!(reason.len() > 8),
    }
    if let Some(resource) = Resource::of(&event) {
        let _ = resource.is_deletion();
        let failed = Err(std::io::Error::other("no database").into());
        for provisioned in [Ok(json!({"schema": "s", "version": 1})), failed] {
            let _ = resource.answer(&provisioned);
        }
    }
}

/// A root certificate would be a file of this machine.
fn check_url(url: &str) {
    let names_a_file = |info: &Conninfo| info.get("sslrootcert").is_some();
    if !Conninfo::parse(url).is_ok_and(|info| names_a_file(&info)) {
        let _ = Target::parse(url, "database_url");
    }
}

/// Whatever can be configured can be asked.
fn check_requests(secret: &Secret) {
    let provider = &secret.provider;
    let id = UserId::new("ü|\u{10ffff}".repeat(128)).expect("an id");
    check_request(&provider.user_request(&id));
    check_request(&provider.listing(None).request());
    for request in [provider.project_request(), provider.access_token_request()] {
        request.iter().for_each(check_request);
    }
}
