//! TLS, as a connection string asks for it.
//!
//! Invariant: no mode is weaker than libpq's of the same name; `verify-full`
//! verifies chain and host name, or there is no connection.

use native_tls::{Certificate, Protocol, TlsConnector};
use tokio_postgres::config::{SslMode, SslNegotiation};

use super::conninfo::Conninfo;
use super::options::{Host, one_of, text};
use crate::tls;

/// libpq's modes in terms of what is encrypted and what is verified.
/// Source: <https://www.postgresql.org/docs/current/libpq-ssl.html>.
pub(super) struct Tls {
    mode: SslMode,
    verify_chain: bool,
    verify_host: bool,
    /// `None`: the system's.
    roots: Option<Vec<Certificate>>,
    direct: bool,
    names_host: bool,
    least: Option<Protocol>,
    most: Option<Protocol>,
}

/// The oldest protocol version that is not broken; libpq's default, too.
const LEAST: &str = "tlsv1.2";

impl Tls {
    /// `roots`: the authorities' certificates as PEM text, in place of a file.
    pub(super) fn read(info: &Conninfo, roots: Option<&str>) -> Result<Self, String> {
        let named = text(info, "sslrootcert")?;
        if named.is_some() && roots.is_some() {
            return Err(
                "has an sslrootcert, and the secret has database_root_certificates: take one out"
                    .to_owned(),
            );
        }
        let system = named == Some("system");
        let modes = ["disable", "prefer", "require", "verify-ca", "verify-full"];
        let default = if system { "verify-full" } else { "prefer" };
        let mode = one_of(info, "sslmode", &modes)?.unwrap_or(default);
        if system && mode != "verify-full" {
            return Err("has sslrootcert=system, which needs sslmode=verify-full".to_owned());
        }
        let roots = match (named.filter(|_| !system), roots) {
            (Some(path), _) => Some(certificates_of_file(path)?),
            (None, Some(pem)) => Some(certificates(pem.as_bytes()).ok_or(
                "can't be verified by database_root_certificates, which holds no certificate in \
                 PEM form (-----BEGIN CERTIFICATE-----)",
            )?),
            (None, None) => None,
        };
        if mode == "verify-ca" && roots.is_none() {
            return Err(
                "has sslmode=verify-ca and no root certificate, so that anybody's would do: take \
                 verify-full, which trusts the public authorities, or put the authority's \
                 certificate into database_root_certificates (or name its file as sslrootcert)"
                    .to_owned(),
            );
        }
        let direct = one_of(info, "sslnegotiation", &["postgres", "direct"])? == Some("direct");
        if direct && matches!(mode, "disable" | "prefer") {
            return Err(
                "has sslnegotiation=direct, which needs sslmode=require or better".to_owned(),
            );
        }
        let (least, most) = versions(info)?;
        Ok(Self {
            mode: match mode {
                "disable" => SslMode::Disable,
                "prefer" => SslMode::Prefer,
                _ => SslMode::Require,
            },
            // With a root of its own, any mode that encrypts verifies the chain.
            verify_chain: mode.starts_with("verify") || roots.is_some(),
            verify_host: mode == "verify-full",
            roots,
            direct,
            names_host: one_of(info, "sslsni", &["1", "0"])? != Some("0"),
            least,
            most,
        })
    }

    pub(super) fn mode(&self) -> SslMode {
        self.mode
    }

    pub(super) fn negotiation(&self) -> SslNegotiation {
        if self.direct {
            return SslNegotiation::Direct;
        }
        SslNegotiation::Postgres
    }

    /// Whether there is a name to verify, if it is to be verified.
    pub(super) fn can_verify(&self, host: &Host) -> bool {
        !(self.verify_host && matches!(host, Host::At(_, None)))
    }

    pub(super) fn connector(&self) -> Result<TlsConnector, String> {
        let built = match self.is_usual() {
            true => tls::trusting_the_system(),
            false => self.build(),
        };
        built.map_err(|_| "asks for TLS, which could not be set up".to_owned())
    }

    /// Whether the provider's API is asked with the same options.
    fn is_usual(&self) -> bool {
        self.verify_chain
            && self.verify_host
            && self.roots.is_none()
            && !self.direct
            && self.names_host
            && matches!((self.least, self.most), (Some(Protocol::Tlsv12), None))
    }

    fn build(&self) -> Result<TlsConnector, native_tls::Error> {
        let mut tls = TlsConnector::builder();
        tls.danger_accept_invalid_certs(!self.verify_chain);
        tls.danger_accept_invalid_hostnames(!self.verify_host);
        tls.use_sni(self.names_host);
        tls.min_protocol_version(self.least);
        tls.max_protocol_version(self.most);
        if self.direct {
            postgres_native_tls::set_postgresql_alpn(&mut tls);
        }
        if let Some(roots) = self.roots.as_ref().filter(|_| self.verify_chain) {
            tls.disable_built_in_roots(true);
            for root in roots {
                tls.add_root_certificate(root.clone());
            }
        }
        tls.build()
    }
}

fn versions(info: &Conninfo) -> Result<(Option<Protocol>, Option<Protocol>), String> {
    let version = |name: &str, default| {
        let asked = text(info, name)?.map(str::to_ascii_lowercase);
        let known = match asked.as_deref().or(default) {
            None => return Ok(None),
            Some("tlsv1") => (0, Protocol::Tlsv10),
            Some("tlsv1.1") => (1, Protocol::Tlsv11),
            Some("tlsv1.2") => (2, Protocol::Tlsv12),
            Some("tlsv1.3") => (3, Protocol::Tlsv13),
            Some(_) => {
                return Err(format!(
                    "has an {name} that is none of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"
                ));
            }
        };
        Ok(Some(known))
    };
    let least = version("ssl_min_protocol_version", Some(LEAST))?;
    let most = version("ssl_max_protocol_version", None)?;
    if least
        .zip(most)
        .is_some_and(|((least, _), (most, _))| least > most)
    {
        return Err(
            "has an ssl_max_protocol_version below its ssl_min_protocol_version".to_owned(),
        );
    }
    Ok((
        least.map(|(_, protocol)| protocol),
        most.map(|(_, protocol)| protocol),
    ))
}

fn certificates_of_file(path: &str) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).ok();
    pem.and_then(|pem| certificates(&pem))
        .ok_or_else(|| "has an sslrootcert that is no readable PEM file".to_owned())
}

fn certificates(pem: &[u8]) -> Option<Vec<Certificate>> {
    let certificates = Certificate::stack_from_pem(pem).ok()?;
    Some(certificates).filter(|certificates| !certificates.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: &str) -> Result<(SslMode, bool, bool), String> {
        let info = Conninfo::parse(&format!("postgres://u@h/d{parameters}"))?;
        let tls = Tls::read(&info, None)?;
        tls.connector()?;
        Ok((tls.mode, tls.verify_chain, tls.verify_host))
    }

    #[test]
    fn ssl_modes_are_libpqs() {
        use SslMode::{Disable, Prefer, Require};
        for (parameters, expected) in [
            ("", (Prefer, false, false)),
            ("?sslmode=disable", (Disable, false, false)),
            ("?ssl%6Dode=require", (Require, false, false)),
            ("?sslmode=require&sslrootcert=", (Require, false, false)),
            ("?ssl=true", (Require, false, false)),
            ("?sslmode=verify-full", (Require, true, true)),
            (
                "?sslmode=verify-full&sslrootcert=system",
                (Require, true, true),
            ),
            ("?sslrootcert=system", (Require, true, true)),
            (
                "?sslmode=require&sslnegotiation=direct",
                (Require, false, false),
            ),
        ] {
            assert_eq!(read(parameters), Ok(expected), "{parameters}");
        }
        for parameters in [
            "?sslmode=verify-ca",
            "?sslmode=verify-ca&sslrootcert=",
            "?sslmode=require&sslrootcert=system",
            "?ssl=true&sslrootcert=system",
            "?sslmode=allow",
            "?sslmode=Require",
            "?sslmode=verify-full&sslrootcert=/nonexistent.pem",
            "?sslnegotiation=direct",
            "?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
            "?ssl_max_protocol_version=TLSv1.1",
        ] {
            assert!(read(parameters).is_err(), "{parameters}");
        }
        let advice = read("?sslmode=verify-ca").unwrap_err();
        assert!(advice.contains("database_root_certificates"), "{advice}");
    }

    /// An authority that vouches for nothing: its key was thrown away.
    const ROOT: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBdTCCARugAwIBAgIUPvrRJXmpQGZLSnLRKIHqnR8XGGMwCgYIKoZIzj0EAwIw\n\
        DzENMAsGA1UEAwwEcm9vdDAgFw0yNjExMjYyMTE5MTJaGA8yMTI2MTEwMjIxMTkx\n\
        MlowDzENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDi2\n\
        XKcqAZIrti2rx6HSMk3mKKRY4ccz6fRfwjFlJmlQXsfk2KaW8WfQb7c2WrHq3vdN\n\
        q0AXBq4zm1bKux4MwqSjUzBRMB0GA1UdDgQWBBS1xw0gjZ9rFPJqiecGS2Bs1Us4\n\
        1jAfBgNVHSMEGDAWgBS1xw0gjZ9rFPJqiecGS2Bs1Us41jAPBgNVHRMBAf8EBTAD\n\
        AQH/MAoGCCqGSM49BAMCA0gAMEUCIQCfOT213dIz6bHLTMlRK54qD1oE+EdmV+2+\n\
        a1VCV3PYegIgJLzPiiWJigbdsIsOitG0KYXUDa3vAgYD5KdFLmcZVMc=\n\
        -----END CERTIFICATE-----";

    #[test]
    fn root_certificates_are_pem_and_come_from_one_place() {
        let info = |parameters: &str| Conninfo::parse(&format!("postgres://u@h/d{parameters}"));
        let refused = |parameters: &str, roots: &str| {
            let info = info(parameters).unwrap();
            Tls::read(&info, Some(roots)).err().expect(parameters)
        };
        assert!(refused("", "hidden").contains("database_root_certificates"));
        // As in libpq: with a root certificate, the chain is always verified.
        for parameters in ["", "?sslmode=prefer", "?sslmode=require"] {
            let tls = Tls::read(&info(parameters).unwrap(), Some(ROOT)).unwrap();
            assert!(tls.verify_chain, "{parameters}");
        }
        assert!(refused("?sslrootcert=system", "hidden").contains("sslrootcert"));
    }
}
