//! What is said when Secrets Manager gives no secret.
//!
//! Invariant: nothing but words of our own, an error code that looks like one
//! of AWS's, and the HTTP status. The SDK's errors show the answer's body, and
//! the secret may be in it.

use std::error::Error;

use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

/// What happened, and what to do about it.
pub(super) fn explain<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let http = status.map(|status| format!("HTTP {status}"));
    let http = http.as_deref().unwrap_or("no HTTP status");
    let why = match error {
        SdkError::ServiceError(refusal) => return refused(refusal.err(), http),
        SdkError::ResponseError(_) => {
            return format!(
                "the answer ({http}) is not one of Secrets Manager's: see that \
                 AWS_ENDPOINT_URL_SECRETS_MANAGER, if it is set, and any proxy lead there"
            );
        }
        SdkError::TimeoutError(_) => UNREACHABLE,
        // By their words: the SDK has no kinds for these.
        error if mentions(error, "region") => "the region is not known: set AWS_REGION",
        error if mentions(error, "credential") => {
            "there are no AWS credentials that could be used: see the function's role, or set \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        SdkError::ConstructionFailure(_) => {
            "the AWS SDK can't be set up so: see the variables and the profile that it reads"
        }
        _ => UNREACHABLE,
    };
    why.to_owned()
}

const UNREACHABLE: &str = "there was no answer: see the function's way to the internet, or the \
                           VPC endpoint";

fn refused(error: &impl ProvideErrorMetadata, http: &str) -> String {
    let code = error.code().filter(|code| is_code(code));
    // Some refusals differ in their words alone. They are looked at, not shown.
    let says = |words: &str| {
        let message = error.message().unwrap_or_default().to_lowercase();
        message.contains(words)
    };
    let advice = match code {
        Some("AccessDeniedException") if says("kms") => KMS,
        Some("DecryptionFailure") => KMS,
        Some("AccessDeniedException") => {
            "the function's role may not read it: allow secretsmanager:GetSecretValue"
        }
        Some("ResourceNotFoundException") if says("staging label") => {
            "the secret holds no value yet: put one"
        }
        Some("ResourceNotFoundException") => {
            "there is no such secret in this region: check SECRET_ID"
        }
        Some("InvalidRequestException") if says("delet") => {
            "the secret is marked for deletion: restore it (aws secretsmanager restore-secret), \
             or name another one in SECRET_ID"
        }
        Some(
            "ExpiredTokenException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException",
        ) => "AWS refuses the function's credentials: see its role, and its clock",
        Some("ThrottlingException") => "too many requests at once: this passes",
        _ if http.starts_with("HTTP 5") => "the trouble is Secrets Manager's own, and passes",
        _ => "look the code up in the API reference of Secrets Manager",
    };
    format!(
        "{advice} ({http}, {})",
        code.unwrap_or("no error code of AWS's")
    )
}

const KMS: &str = "its KMS key may not be used to decrypt it: allow the function's role kms:Decrypt \
                   on that key, and see that the key is enabled";

/// Whether this looks like `ThrottlingException` or `InternalServiceError`:
/// what stands in its place in a proxy's answer may be anything.
fn is_code(code: &str) -> bool {
    let known_end = ["Exception", "Error", "Failure", "Fault"]
        .iter()
        .any(|end| code.ends_with(end));
    known_end && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Whether an error, or what caused it, has this word. Only of errors that no
/// answer caused.
fn mentions(error: &dyn Error, word: &str) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().to_lowercase().contains(word) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_of_awss_kind() {
        for code in [
            "ThrottlingException",
            "InternalServiceError",
            "DecryptionFailure",
        ] {
            assert!(is_code(code), "{code}");
        }
        let long = format!("{}Exception", "x".repeat(60));
        for other in ["", "hiddenvalue", "whsec_abcException", "Some Error", &long] {
            assert!(!is_code(other), "{other}");
        }
    }
}
