//! The parameters of a connection string, one by one.
//!
//! Invariant: a parameter has libpq's meaning, or it is refused by its name.
//! None is taken for something else, and none that protects is dropped.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::conninfo::Conninfo;
use super::tls::Tls;

/// How long the other machine can be silent before the connection counts as
/// lost: a gateway that has forgotten a connection drops its packets without an
/// answer. It is shorter than the lease of a run.
const SILENCE: Duration = Duration::from_secs(10);

/// A database that sleeps takes seconds to accept.
const TO_CONNECT: Duration = Duration::from_secs(10);

const PORT: u16 = 5432;

/// Everything that a connection string asks for, except how TLS is set up.
pub(super) struct Options {
    /// The driver's own options, without hosts.
    pub(super) config: Config,
    /// The servers to try, in this order.
    pub(super) servers: Vec<Server>,
    /// Whether to try them in any order instead.
    pub(super) shuffled: bool,
    /// Whether a standby is passed over.
    pub(super) primary: bool,
}

/// One of the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: Host,
    pub(super) port: u16,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// By its name, or by an address in the name's place.
    Named(String),
    /// By its address, whatever its name.
    At(IpAddr, Option<String>),
    /// By the folder of its socket, on this machine.
    Socket(PathBuf),
}

type Read<T> = Result<T, String>;

/// Reads all parameters but those of [`Tls`].
pub(super) fn read(info: &Conninfo, tls: &Tls) -> Read<Options> {
    refuse_what_is_not_done_here(info)?;
    let servers = servers(info)?;
    let mut config = Config::new();
    let user = text(info, "user")?.ok_or("names no user")?;
    config.user(user);
    if let Some(password) = filled(info, "password") {
        config.password(password);
    }
    // Without a name, the server takes the database that has the user's name.
    if let Some(database) = text(info, "dbname")? {
        config.dbname(database);
    }
    if let Some(options) = text(info, "options")? {
        config.options(options);
    }
    let name = match text(info, "application_name")? {
        Some(name) => name,
        None => text(info, "fallback_application_name")?.unwrap_or("users-sync"),
    };
    config.application_name(name);
    config.ssl_mode(tls.mode());
    config.ssl_negotiation(tls.negotiation());
    config.channel_binding(channel_binding(info)?);
    times(info, &mut config)?;
    let primary = target_session(info, &mut config)?;
    if let Some(server) = servers.iter().find(|server| !tls.can_verify(&server.host)) {
        debug_assert!(matches!(server.host, Host::At(_, None)));
        return Err(
            "has a hostaddr without a host: sslmode=verify-full needs the host's name to verify it"
                .to_owned(),
        );
    }
    Ok(Options {
        config,
        servers,
        shuffled: one_of(info, "load_balance_hosts", &["disable", "random"])? == Some("random"),
        primary,
    })
}

/// Refuses parameters that change which server is reached, what is trusted or how
/// either side proves who it is, in ways that are not done here.
fn refuse_what_is_not_done_here(info: &Conninfo) -> Read<()> {
    let password = filled(info, "password").is_some();
    let told = |name: &str| filled(info, name).is_some();
    for name in [
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "require_auth",
        "scram_client_key",
        "scram_server_key",
        "service",
        "sslcert",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslkeylogfile",
        "sslpassword",
    ] {
        if told(name) {
            return Err(not_done(name));
        }
    }
    // If there is a password, libpq reads none from a file.
    if told("passfile") && !password {
        return Err(not_done("passfile"));
    }
    one_of(info, "sslcertmode", &["disable", "allow"])?;
    one_of(info, "gssencmode", &["disable", "prefer"])?;
    one_of(info, "replication", &["false", "off", "no", "0"])?;
    let encoding = text(info, "client_encoding")?.unwrap_or("auto");
    let encoding: String = encoding
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let encoding = encoding.to_ascii_lowercase();
    if !["auto", "utf8", "unicode"].contains(&&*encoding) {
        return Err("has a client_encoding other than UTF8: take it out".to_owned());
    }
    protocol_versions(info)
}

fn not_done(name: &str) -> String {
    format!("has the parameter {name:?}, which users-sync does not support: take it out")
}

/// Refuses every protocol version but 3.0, the one that the driver speaks.
fn protocol_versions(info: &Conninfo) -> Read<()> {
    let versions = ["3.0", "3.2", "latest"];
    let least = one_of(info, "min_protocol_version", &versions)?;
    one_of(info, "max_protocol_version", &versions)?;
    match least {
        None | Some("3.0") => Ok(()),
        Some(_) => Err(
            "has a min_protocol_version above 3.0, the only version that is supported: take it out"
                .to_owned(),
        ),
    }
}

fn servers(info: &Conninfo) -> Read<Vec<Server>> {
    let hosts = list(info, "host")?;
    let addresses = list(info, "hostaddr")?;
    let ports = list(info, "port")?;
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err("names no host".to_owned());
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err("names more or fewer hostaddr than hosts".to_owned());
    }
    if ports.len() > 1 && ports.len() != count {
        return Err("names more or fewer ports than hosts".to_owned());
    }
    let mut servers = Vec::with_capacity(count);
    for number in 0..count {
        let port = ports.get(number).or_else(|| ports.first());
        servers.push(Server {
            host: host(
                hosts.get(number).copied().unwrap_or_default(),
                addresses.get(number).copied().unwrap_or_default(),
            )?,
            port: port.map_or(Ok(PORT), |port| read_port(port))?,
        });
    }
    if servers
        .iter()
        .any(|server| matches!(server.host, Host::Socket(_)))
        && filled(info, "requirepeer").is_some()
    {
        return Err(not_done("requirepeer"));
    }
    Ok(servers)
}

fn host(name: &str, address: &str) -> Read<Host> {
    if !address.is_empty() {
        let address = address
            .parse()
            .map_err(|_| "has a hostaddr that is not an IP address")?;
        return Ok(Host::At(
            address,
            Some(name.to_owned()).filter(|name| !name.is_empty()),
        ));
    }
    if name.is_empty() {
        // libpq's default is a socket whose folder differs from build to build.
        return Err("names no host".to_owned());
    }
    if name.starts_with('/') {
        return Ok(Host::Socket(PathBuf::from(name)));
    }
    if name.contains('@') {
        return Err(
            "has an @ in its host: in a user or password write %40 for an @, %2F for a /"
                .to_owned(),
        );
    }
    Ok(Host::Named(name.to_owned()))
}

fn read_port(port: &str) -> Read<u16> {
    if port.is_empty() {
        return Ok(PORT);
    }
    let number = whole(port).and_then(|number| u16::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        "has a port that is not a number from 1 to 65535: in a user or password write %3A for a :, \
         %2F for a /, %3F for a ?"
            .to_owned()
    })
}

/// Reads how long to wait. libpq's defaults wait for as long as the system does,
/// which is too long here.
fn times(info: &Conninfo, config: &mut Config) -> Read<()> {
    let positive = |name| number(info, name).map(|number| number.map(|number| number.max(0)));
    match positive("connect_timeout")? {
        None => {
            config.connect_timeout(TO_CONNECT);
        }
        Some(0) => {}
        Some(seconds) => {
            config.connect_timeout(seconds_of(seconds));
        }
    }
    match positive("tcp_user_timeout")? {
        None => {
            config.tcp_user_timeout(SILENCE);
        }
        Some(0) => {}
        Some(milliseconds) => {
            config.tcp_user_timeout(Duration::from_millis(milliseconds.unsigned_abs().into()));
        }
    }
    if let Some(keepalives) = number(info, "keepalives")? {
        config.keepalives(keepalives != 0);
    }
    let idle = positive("keepalives_idle")?;
    let interval = positive("keepalives_interval")?;
    let count = positive("keepalives_count")?;
    if (idle, interval, count) == (None, None, None) {
        config.keepalives_idle(SILENCE);
        config.keepalives_interval(SILENCE / 3);
        config.keepalives_retries(3);
    }
    // 0 stands for the system's default, as in the driver.
    if let Some(seconds) = idle.filter(|seconds| *seconds > 0) {
        config.keepalives_idle(seconds_of(seconds));
    }
    if let Some(seconds) = interval.filter(|seconds| *seconds > 0) {
        config.keepalives_interval(seconds_of(seconds));
    }
    if let Some(count) = count.filter(|count| *count > 0) {
        config.keepalives_retries(count.unsigned_abs());
    }
    Ok(())
}

fn seconds_of(seconds: i32) -> Duration {
    Duration::from_secs(seconds.unsigned_abs().into())
}

fn channel_binding(info: &Conninfo) -> Read<ChannelBinding> {
    let asked = one_of(info, "channel_binding", &["disable", "prefer", "require"])?;
    Ok(match asked {
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        _ => ChannelBinding::Prefer,
    })
}

/// Whether only a primary server will do.
fn target_session(info: &Conninfo, config: &mut Config) -> Read<bool> {
    let all = [
        "any",
        "read-write",
        "primary",
        "read-only",
        "standby",
        "prefer-standby",
    ];
    match one_of(info, "target_session_attrs", &all)? {
        None | Some("any") => Ok(false),
        Some("read-write") => {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            Ok(false)
        }
        Some("primary") => Ok(true),
        Some(_) => Err(
            "has a target_session_attrs that looks for a standby, which takes no writes: set it to \
             read-write or primary"
                .to_owned(),
        ),
    }
}

/// A value that is not empty: to libpq, an empty one is as good as none.
fn filled<'a>(info: &'a Conninfo, name: &str) -> Option<&'a [u8]> {
    info.get(name).filter(|value| !value.is_empty())
}

/// The same of a value that is text.
pub(super) fn text<'a>(info: &'a Conninfo, name: &str) -> Read<Option<&'a str>> {
    let value = filled(info, name).map(std::str::from_utf8).transpose();
    value.map_err(|_| format!("has a {name} that is not UTF-8"))
}

fn list<'a>(info: &'a Conninfo, name: &str) -> Read<Vec<&'a str>> {
    let text = text(info, name)?;
    Ok(text
        .map(|text| text.split(',').collect())
        .unwrap_or_default())
}

/// The value, if there is one, which has to be one of these words.
pub(super) fn one_of<'w>(info: &Conninfo, name: &str, words: &[&'w str]) -> Read<Option<&'w str>> {
    let Some(value) = info.get(name) else {
        return Ok(None);
    };
    let word = words.iter().find(|word| word.as_bytes() == value);
    let refused = || format!("has a {name} that is not one of {}", words.join(", "));
    word.copied().map(Some).ok_or_else(refused)
}

fn number(info: &Conninfo, name: &str) -> Read<Option<i32>> {
    let Some(value) = info.get(name) else {
        return Ok(None);
    };
    let number = std::str::from_utf8(value).ok().and_then(whole);
    number
        .map(Some)
        .ok_or_else(|| format!("has a {name} that is not a whole number"))
}

/// A whole number as C's `strtol` reads it, with white space around it.
fn whole(text: &str) -> Option<i32> {
    text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
        .parse()
        .ok()
}

#[cfg(test)]
mod tests;
