//! Where the database is, and how to get there: a connection string as libpq
//! takes it, TLS included.
//!
//! Invariant: `verify-full` verifies chain and host name, or there is no
//! connection; no mode is ever weaker than libpq's own.

use std::fmt;
use std::time::Duration;

use native_tls::{Certificate, TlsConnector};
use percent_encoding::percent_decode_str;
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};

use super::StoreError;
use crate::secret::Misconfigured;

/// How long the other side's machine may say nothing at all, not even that it
/// got what was sent: a gateway that has forgotten a connection drops it
/// without a word. Shorter than the lease of a run.
const SILENCE: Duration = Duration::from_secs(10);

/// A database that can be connected to.
#[derive(Clone)]
pub struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeTlsConnector,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(…)")
    }
}

impl Target {
    /// Reads a `postgres://` URL; `field` is its name in the secret.
    pub fn parse(url: &str, field: &str) -> Result<Self, Misconfigured> {
        parse(url).map_err(|problem| Misconfigured {
            field: field.to_owned(),
            problem,
        })
    }

    /// Connects; the connection works in a task of its own until it is dropped.
    pub(crate) async fn open(&self) -> Result<Client, StoreError> {
        let (client, connection) = self
            .config
            .connect(self.tls.clone())
            .await
            .map_err(|error| StoreError::of(&error))?;
        tokio::spawn(async move {
            // Whoever waits for an answer gets the error too.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// The user it connects as.
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }
}

#[derive(Default)]
struct Tls {
    mode: Option<String>,
    root: Option<String>,
}

fn parse(url: &str) -> Result<Target, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("is not a URL that begins with postgres://".to_owned());
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut asked = Tls::default();
    let mut passed_on = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "sslmode" => asked.mode = Some(value()),
            "sslrootcert" => asked.root = Some(value()),
            _ => passed_on.push(parameter),
        }
    }
    let mut config: Config = format!("{base}?{}", passed_on.join("&"))
        .parse()
        .map_err(|_| "is not a connection string that is understood here".to_owned())?;
    if config.get_hosts().is_empty() {
        return Err("names no host".to_owned());
    }
    if config.get_user().is_none() {
        return Err("names no user".to_owned());
    }
    if config.get_application_name().is_none() {
        config.application_name("users-sync");
    }
    if config.get_connect_timeout().is_none() {
        // A database that sleeps takes seconds to accept.
        config.connect_timeout(Duration::from_secs(10));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if !query.contains("keepalives") {
        config.keepalives_idle(SILENCE);
        config.keepalives_interval(SILENCE / 3);
        config.keepalives_retries(3);
    }
    let tls = asked.connector(&mut config)?;
    Ok(Target {
        config,
        tls: MakeTlsConnector::new(tls),
    })
}

impl Tls {
    /// libpq's modes in terms of what is encrypted and what is verified.
    /// Source: <https://www.postgresql.org/docs/current/libpq-ssl.html>.
    fn connector(&self, config: &mut Config) -> Result<TlsConnector, String> {
        let system = self.root.as_deref() == Some("system");
        let default = if system { "verify-full" } else { "prefer" };
        let mode = self.mode.as_deref().unwrap_or(default);
        if system && mode != "verify-full" {
            return Err("has sslrootcert=system, which needs sslmode=verify-full".to_owned());
        }
        let own_root = self.root.as_deref().filter(|_| !system);
        let (ssl_mode, chain, host) = match mode {
            "disable" => (SslMode::Disable, false, false),
            "prefer" => (SslMode::Prefer, false, false),
            // With a root of its own, `require` verifies the chain.
            "require" => (SslMode::Require, own_root.is_some(), false),
            "verify-ca" => (SslMode::Require, true, false),
            "verify-full" => (SslMode::Require, true, true),
            _ => {
                return Err(
                    "has an sslmode that is none of disable, prefer, require, verify-ca, \
                            verify-full"
                        .to_owned(),
                );
            }
        };
        config.ssl_mode(ssl_mode);
        let mut tls = TlsConnector::builder();
        tls.danger_accept_invalid_certs(!chain);
        tls.danger_accept_invalid_hostnames(!host);
        if let Some(path) = own_root.filter(|_| chain) {
            tls.disable_built_in_roots(true);
            for certificate in certificates(path)? {
                tls.add_root_certificate(certificate);
            }
        }
        tls.build()
            .map_err(|_| "asks for TLS, which could not be set up".to_owned())
    }
}

fn certificates(path: &str) -> Result<Vec<Certificate>, String> {
    let unreadable = || "has an sslrootcert that is no readable PEM file".to_owned();
    let pem = std::fs::read(path).map_err(|_| unreadable())?;
    match Certificate::stack_from_pem(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parameters: &str) -> Result<SslMode, String> {
        parse(&format!("postgres://u:p%40@h:5/d{parameters}")).map(|t| t.config.get_ssl_mode())
    }

    #[test]
    fn ssl_modes_are_libpq_s() {
        assert_eq!(check(""), Ok(SslMode::Prefer));
        assert_eq!(check("?sslmode=disable"), Ok(SslMode::Disable));
        assert_eq!(
            check("?sslmode=require&channel_binding=require"),
            Ok(SslMode::Require)
        );
        assert_eq!(check("?sslmode=verify-ca"), Ok(SslMode::Require));
        assert_eq!(
            check("?sslmode=verify-full&sslrootcert=system"),
            Ok(SslMode::Require)
        );
        assert_eq!(check("?sslrootcert=system"), Ok(SslMode::Require));
        assert!(check("?sslmode=require&sslrootcert=system").is_err());
        assert!(check("?sslmode=allow").is_err());
        assert!(check("?sslmode=verify-full&sslrootcert=/nonexistent.pem").is_err());
    }

    #[test]
    fn a_silent_network_is_noticed_unless_the_url_says_when() {
        let silence = |parameters: &str| {
            let target = parse(&format!("postgres://u:p@h/d{parameters}")).unwrap();
            let config = target.config;
            let seconds = |time: Duration| time.as_secs();
            (
                config.get_tcp_user_timeout().copied().map(seconds),
                seconds(config.get_keepalives_idle()),
            )
        };
        assert_eq!(silence(""), (Some(10), 10));
        assert_eq!(silence("?tcp_user_timeout=77"), (Some(77), 10));
        assert_eq!(silence("?keepalives_idle=77"), (Some(10), 77));
    }

    #[test]
    fn an_error_repeats_nothing_of_the_url() {
        for url in [
            "mysql://hidden:hidden@h/d",
            "host=hidden password=hidden",
            "postgres://hidden@h/d?sslmode=hidden",
            "postgres://hidden@h/d?hidden=hidden",
            "postgres://hidden@h:hidden/d",
            "postgres:///hidden?user=hidden",
        ] {
            let error = Target::parse(url, "database_url").unwrap_err().to_string();
            assert!(
                error.starts_with("database_url ") && !error.contains("hidden"),
                "{error}"
            );
        }
    }
}
