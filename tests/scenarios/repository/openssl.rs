//! OpenSSL as `.cargo/` has it built: without algorithms that no client needs, and with all that servers ask for.

use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, anyhow, ensure};
use openssl::asn1::Asn1Time;
use openssl::cipher::Cipher;
use openssl::dh::Dh;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;

/// TLS 1.2 with an RSA key, TLS 1.2 with any other, and TLS 1.3.
const RSA_SUITES: &[&str] = &[
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA",
    "DHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
];
const EC_SUITES: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-SHA384",
];
const SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];
/// The last one is safe from tomorrow's computers.
const GROUPS: &[&str] = &[
    "X25519",
    "X448",
    "P-256",
    "P-384",
    "P-521",
    "X25519MLKEM768",
];

/// A server's identity: a key, and the certificate that it has signed itself.
struct Identity {
    key: PKey<Private>,
    certificate: X509,
}

impl Identity {
    fn of(key: PKey<Private>) -> Result<Self> {
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        let (begun, ends) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(1)?);
        builder.set_not_before(&begun)?;
        builder.set_not_after(&ends)?;
        builder.set_pubkey(&key)?;
        let digest = match key.id() {
            Id::ED25519 => MessageDigest::null(),
            _ => MessageDigest::sha256(),
        };
        builder.sign(&key, digest)?;
        let certificate = builder.build();
        Ok(Self { key, certificate })
    }

    fn server(&self) -> Result<SslContextBuilder> {
        let mut server = SslContext::builder(SslMethod::tls_server())?;
        server.set_private_key(&self.key)?;
        server.set_certificate(&self.certificate)?;
        server.set_tmp_dh(&*Dh::get_2048_256()?)?;
        Ok(server)
    }

    /// Has a client that trusts the certificate meet the server; gives the suite that they agree on.
    fn meet(&self, server: SslContextBuilder) -> Result<String> {
        let mut client = SslContext::builder(SslMethod::tls_client())?;
        client.set_verify(SslVerifyMode::PEER);
        client.cert_store_mut().add_cert(self.certificate.clone())?;
        let (near, far) = UnixStream::pair()?;
        let server = Ssl::new(&server.build())?;
        let accepted = std::thread::spawn(move || {
            let accepted = server.accept(far);
            accepted.map(drop).map_err(|error| error.to_string())
        });
        let stream = Ssl::new(&client.build())?.connect(near);
        let stream = stream.map_err(|error| anyhow!("{error}"))?;
        let suite = stream.ssl().current_cipher().context("a suite")?.name();
        let accepted = accepted.join().expect("the server does not panic");
        ensure!(accepted.is_ok(), "{accepted:?}");
        Ok(suite.to_owned())
    }
}

fn on_curve(curve: Nid) -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(curve)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

#[test]
fn client_and_server_agree_on_whatever_the_server_has() -> Result<()> {
    let rsa = Identity::of(PKey::from_rsa(Rsa::generate(2048)?)?)?;
    let ec = Identity::of(on_curve(Nid::X9_62_PRIME256V1)?)?;
    for (identity, suites) in [(&rsa, RSA_SUITES), (&ec, EC_SUITES)] {
        for suite in suites {
            let mut server = identity.server()?;
            server.set_max_proto_version(Some(SslVersion::TLS1_2))?;
            server.set_cipher_list(suite)?;
            let met = identity.meet(server).with_context(|| (*suite).to_owned())?;
            assert_eq!(met, *suite);
        }
    }
    for group in GROUPS {
        let mut server = ec.server()?;
        server.set_groups_list(group)?;
        ec.meet(server).with_context(|| (*group).to_owned())?;
    }
    let p384 = Identity::of(on_curve(Nid::SECP384R1)?)?;
    let ed25519 = Identity::of(PKey::generate_ed25519()?)?;
    for (name, identity) in [
        ("RSA", rsa),
        ("P-256", ec),
        ("P-384", p384),
        ("Ed25519", ed25519),
    ] {
        for suite in SUITES {
            let mut server = identity.server()?;
            server.set_ciphersuites(suite)?;
            let met = identity
                .meet(server)
                .with_context(|| format!("{suite}, {name}"))?;
            assert_eq!(met, *suite);
        }
    }
    Ok(())
}

#[test]
fn algorithms_that_no_client_needs_are_not_built() -> Result<()> {
    ensure!(Md::fetch(None, "SHA2-256", None).is_ok());
    ensure!(Cipher::fetch(None, "AES-256-GCM", None).is_ok());
    for digest in ["SM3", "RIPEMD-160", "BLAKE2B-512", "MD4"] {
        ensure!(Md::fetch(None, digest, None).is_err(), "{digest} is there");
    }
    for cipher in ["ARIA-256-GCM", "SM4-GCM", "AES-256-OCB", "AES-256-SIV"] {
        ensure!(
            Cipher::fetch(None, cipher, None).is_err(),
            "{cipher} is there"
        );
    }
    Ok(())
}
