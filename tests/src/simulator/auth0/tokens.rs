//! `POST /oauth/token`, and what makes a token good. Nothing is kept: a token says what it opens.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Auth0, errors};
use crate::simulator::vendor::Refused;

const SCOPE: &str = "read:users update:users delete:users create:users read:user_idp_tokens \
                     read:event_streams create:event_streams update:event_streams";

/// Who wants a token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    grant_type: String,
    client_id: String,
    client_secret: String,
    audience: String,
}

impl Wanted {
    /// Reads a body, a form or JSON.
    pub(super) fn of(headers: &HeaderMap, body: &str) -> Result<Self, Refused> {
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let wanted = match kind.split(';').next().unwrap_or_default() {
            "application/json" => serde_json::from_str(body).ok(),
            "application/x-www-form-urlencoded" => form(body),
            _ => None,
        };
        let description = "Missing required parameter: grant_type";
        wanted.ok_or_else(|| errors::oauth(StatusCode::FORBIDDEN, "invalid_request", description))
    }
}

fn form(body: &str) -> Option<Wanted> {
    let uri: axum::http::Uri = format!("/?{body}").parse().ok()?;
    let form = axum::extract::Query::<Wanted>::try_from_uri(&uri).ok()?;
    Some(form.0)
}

/// The answer to who wants a token.
pub(super) fn grant(tenant: &Auth0, wanted: &Wanted, now: i64) -> Result<String, Refused> {
    let refuse = |status, error, description: &str| Err(errors::oauth(status, error, description));
    if wanted.grant_type != "client_credentials" {
        let description = format!("Unsupported grant type: {}", wanted.grant_type);
        return refuse(
            StatusCode::FORBIDDEN,
            "unsupported_grant_type",
            &description,
        );
    }
    if (&wanted.client_id, &wanted.client_secret) != (&tenant.client_id, &tenant.client_secret) {
        return refuse(StatusCode::UNAUTHORIZED, "access_denied", "Unauthorized");
    }
    if wanted.audience != tenant.audience() {
        let description = format!("Service not enabled within domain: {}", wanted.audience);
        return refuse(StatusCode::FORBIDDEN, "access_denied", &description);
    }
    let issued = now.div_euclid(1_000);
    let claims = json!({
        "iss": format!("https://{}/", tenant.domain),
        "sub": format!("{}@clients", tenant.client_id),
        "aud": wanted.audience,
        "iat": issued,
        "exp": issued + tenant.token_lifetime,
        "scope": SCOPE,
        "gty": "client-credentials",
        "azp": tenant.client_id,
    });
    let answer = json!({
        "access_token": signed(tenant, &claims),
        "scope": SCOPE,
        "expires_in": tenant.token_lifetime,
        "token_type": "Bearer",
    });
    Ok(answer.to_string())
}

/// Whether the request's token opens the Management API now.
pub(super) fn check(tenant: &Auth0, headers: &HeaderMap, now: i64) -> Result<(), Refused> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or_else(|| errors::unauthorized("Missing authentication"))?;
    let claims = token.split('.').nth(1).and_then(|claims| {
        let claims: Value = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        (signed(tenant, &claims) == token).then_some(claims)
    });
    let claims = claims.ok_or_else(|| errors::unauthorized("Invalid token"))?;
    if claims["aud"] != tenant.audience().as_str() {
        return Err(errors::unauthorized("Bad audience"));
    }
    match claims["exp"].as_i64() {
        Some(end) if now < end * 1_000 => Ok(()),
        _ => Err(errors::unauthorized(
            "Expired token received for JSON Web Token validation",
        )),
    }
}

fn signed(tenant: &Auth0, claims: &Value) -> String {
    let head = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", BASE64.encode(claims.to_string()));
    // HMAC takes keys of any length.
    let code = Hmac::<Sha256>::new_from_slice(tenant.client_secret.as_bytes()).map(|mut code| {
        code.update(signed.as_bytes());
        BASE64.encode(code.finalize().into_bytes())
    });
    format!("{signed}.{}", code.unwrap_or_default())
}
