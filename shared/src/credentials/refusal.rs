//! Messages for the operator when Secrets Manager gives no secret.
//!
//! Invariant: the text holds our own words, the HTTP status and an error code
//! that looks like one of AWS's, and nothing else. The SDK's errors show the
//! answer's body, and the secret can be in it.

use std::error::Error;

use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

/// A message: what happened, and what to do about it.
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
                "the answer ({http}) does not come from Secrets Manager: check \
                 AWS_ENDPOINT_URL_SECRETS_MANAGER, if it is set, and any proxy in between"
            );
        }
        SdkError::TimeoutError(_) => UNREACHABLE,
        // The SDK has no kinds for these, only words.
        error if mentions(error, "region") => "the region is not known: set AWS_REGION",
        error if mentions(error, "credential") => {
            "there are no usable AWS credentials: check the function's role, or set \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        SdkError::ConstructionFailure(_) => {
            "the AWS SDK can't be set up: check the variables and the profile that it reads"
        }
        _ => UNREACHABLE,
    };
    why.to_owned()
}

const UNREACHABLE: &str = "there was no answer: check the function's route to the internet, or \
                           the VPC endpoint";

fn refused(error: &impl ProvideErrorMetadata, http: &str) -> String {
    let code = error.code().filter(|code| is_code(code));
    // Some refusals differ only in their words. They are read, but not shown.
    let says = |words: &str| {
        let message = error.message().unwrap_or_default().to_lowercase();
        message.contains(words)
    };
    let advice = match code {
        Some("AccessDeniedException") if says("kms") => KMS,
        Some("DecryptionFailure") => KMS,
        Some("AccessDeniedException") => {
            "the function's role is not allowed to read it: allow secretsmanager:GetSecretValue"
        }
        Some("ResourceNotFoundException") if says("staging label") => {
            "the secret has no value yet: put one in"
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
        ) => "AWS refuses the function's credentials: check its role and its clock",
        Some("ThrottlingException") => "too many requests at once: this passes by itself",
        _ if http.starts_with("HTTP 5") => {
            "Secrets Manager has trouble of its own: this passes by itself"
        }
        _ => "look the code up in the API reference of Secrets Manager",
    };
    format!(
        "{advice} ({http}, {})",
        code.unwrap_or("no error code of AWS's")
    )
}

const KMS: &str = "the function's role is not allowed to decrypt it with its KMS key: allow \
                   kms:Decrypt on that key, and check that the key is enabled";

/// Whether this looks like `ThrottlingException` or `InternalServiceError`. In
/// its place a proxy's answer can hold anything.
fn is_code(code: &str) -> bool {
    let known_end = ["Exception", "Error", "Failure", "Fault"]
        .iter()
        .any(|end| code.ends_with(end));
    known_end && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Whether an error or one of its causes contains this word. Only for errors that
/// no answer caused.
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
