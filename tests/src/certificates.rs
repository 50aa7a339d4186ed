//! A certificate authority made on the spot, and a server certificate for the name `localhost`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// Writes `ca.crt`, `server.crt` and `server.key` into `folder`.
///
/// The certificate names `localhost` alone, so that `verify-full` fails by the address 127.0.0.1.
pub(crate) fn create(folder: &Path) -> Result<()> {
    let authority_key = key().context("make a key")?;
    let mut builder = builder("Test authority", &authority_key)?;
    let issuer = name("Test authority")?;
    builder.set_issuer_name(&issuer)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
    let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(subject_key)?;
    builder.sign(&authority_key, MessageDigest::sha256())?;
    let authority = builder.build();

    let server_key = key().context("make a key")?;
    let server = server_certificate(&server_key, &authority, &authority_key)?;
    fs::write(folder.join("ca.crt"), authority.to_pem()?).context("write ca.crt")?;
    fs::write(folder.join("server.crt"), server.to_pem()?).context("write server.crt")?;
    let key = server_key.private_key_to_pem_pkcs8()?;
    fs::write(folder.join("server.key"), key).context("write server.key")
}

fn server_certificate(
    key: &PKey<Private>,
    authority: &X509,
    authority_key: &PKey<Private>,
) -> Result<X509> {
    let mut builder = builder("localhost", key)?;
    builder.set_issuer_name(authority.subject_name())?;
    builder.append_extension(BasicConstraints::new().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let context = builder.x509v3_context(Some(authority), None);
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .build(&context)?;
    let issuer_key = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
    builder.append_extension(names)?;
    builder.append_extension(issuer_key)?;
    builder.sign(authority_key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn key() -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

fn name(common_name: &str) -> Result<openssl::x509::X509Name> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(name.build())
}

fn builder(subject: &str, key: &PKey<Private>) -> Result<X509Builder> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    let subject = name(subject)?;
    builder.set_subject_name(&subject)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(2)?)?;
    builder.set_pubkey(key)?;
    Ok(builder)
}
