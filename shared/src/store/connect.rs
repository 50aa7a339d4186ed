//! Where the database is, and how to get there.
//!
//! Invariants: a connection string is read by [`conninfo`] alone, never by the
//! driver, whose reading differs from libpq's; a dead address does not hold up the
//! others.

mod cancel;
pub mod conninfo;
mod options;
mod race;
mod tls;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, SimpleQueryMessage};

use self::conninfo::Conninfo;
use self::options::{Host, Options, Server};
use self::race::race;
use self::tls::Tls;
use super::error::StoreError;
use crate::settings::Misconfigured;

/// A database that can be connected to.
#[derive(Clone)]
pub struct Target {
    /// Without hosts.
    config: Config,
    servers: Vec<Server>,
    shuffled: bool,
    primary: bool,
    tls: MakeTlsConnector,
}

/// The way by which a server was reached.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// The address; `None`: a socket of this machine.
    address: Option<SocketAddr>,
    /// The name that its certificate has to be for, if that is verified.
    name: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(…)")
    }
}

impl Target {
    /// Reads a connection string; `field` is its name in the secret.
    pub fn parse(url: &str, field: &str) -> Result<Self, Misconfigured> {
        Self::read(url, field, None)
    }

    /// The same with `roots`: the authorities that may vouch for the server, as
    /// PEM text.
    pub(crate) fn read(url: &str, field: &str, roots: Option<&str>) -> Result<Self, Misconfigured> {
        let read = || {
            let info = Conninfo::parse(url)?;
            let tls = Tls::read(&info, roots)?;
            let options = options::read(&info, &tls)?;
            warn_of(field, info.ignored());
            Self::new(options, &tls)
        };
        read().map_err(|problem| Misconfigured {
            field: field.to_owned(),
            problem,
        })
    }

    fn new(options: Options, tls: &Tls) -> Result<Self, String> {
        Ok(Self {
            config: options.config,
            servers: options.servers,
            shuffled: options.shuffled,
            primary: options.primary,
            tls: MakeTlsConnector::new(tls.connector()?),
        })
    }

    /// Connects; the connection works in a task of its own until it is dropped.
    pub(crate) async fn open(&self) -> Result<Client, StoreError> {
        self.reach().await.map(|(client, _)| client)
    }

    /// Connects, and says by which way.
    pub(super) async fn reach(&self) -> Result<(Client, Way), StoreError> {
        let mut servers: Vec<&Server> = self.servers.iter().collect();
        self.shuffle(&mut servers);
        race(servers.into_iter().map(|server| self.reach_server(server))).await
    }

    /// Reaches one of the servers, at the first of its addresses that answers.
    async fn reach_server(&self, server: &Server) -> Result<(Client, Way), StoreError> {
        let at = |address: IpAddr, name: &str| Way {
            address: Some(SocketAddr::new(address, server.port)),
            name: name.to_owned(),
        };
        match &server.host {
            Host::Socket(folder) => {
                let mut config = self.config.clone();
                // As in libpq, nothing is encrypted that doesn't leave the machine.
                config.host_path(folder).port(server.port);
                config.ssl_mode(SslMode::Disable);
                let way = Way {
                    address: None,
                    name: String::new(),
                };
                Ok((self.connect(config).await?, way))
            }
            Host::At(address, name) => {
                let name = name.clone().unwrap_or_else(|| address.to_string());
                self.reach_address(at(*address, &name)).await
            }
            Host::Named(name) => {
                let addresses = self.addresses(name, server.port).await?;
                let ways = addresses.into_iter().map(|address| at(address, name));
                race(ways.map(|way| self.reach_address(way))).await
            }
        }
    }

    async fn reach_address(&self, way: Way) -> Result<(Client, Way), StoreError> {
        let mut config = self.config.clone();
        config.host(&way.name);
        if let Some(address) = way.address {
            config.hostaddr(address.ip()).port(address.port());
        }
        Ok((self.connect(config).await?, way))
    }

    /// Has the server end the statement that it is running.
    pub(super) async fn cancel(&self, token: &CancelToken, way: &Way) {
        cancel::cancel(token, way, &self.tls).await;
    }

    async fn addresses(&self, name: &str, port: u16) -> Result<Vec<IpAddr>, StoreError> {
        let found = tokio::net::lookup_host((name, port)).await;
        let found = found.map_err(|_| StoreError::unknown_host())?;
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        self.shuffle(&mut addresses);
        Ok(addresses)
    }

    async fn connect(&self, config: Config) -> Result<Client, StoreError> {
        let connected = config.connect(self.tls.clone()).await;
        let (client, connection) =
            connected.map_err(|error| StoreError::of_login(&error, &self.hidden()))?;
        tokio::spawn(async move {
            // The caller that waits for an answer gets the error, too.
            let _ = connection.await;
        });
        if self.primary && recovers(&client).await? {
            return Err(StoreError::Unreachable("it is a standby".to_owned()));
        }
        Ok(client)
    }

    /// The parts of the connection string that a server might quote and that
    /// must not be shown: the password, and every other part that may hold one
    /// because something was pasted in the wrong place; whole, and cut as the
    /// server cuts names. The longest comes first.
    fn hidden(&self) -> Vec<String> {
        let password = self.config.get_password();
        let password = password.map(|password| String::from_utf8_lossy(password).into_owned());
        let pasted = [
            self.config.get_user(),
            self.config.get_dbname(),
            self.config.get_options(),
        ];
        let pasted = pasted.into_iter().flatten().filter(|text| !is_a_name(text));
        let whole = pasted
            .flat_map(|text| text.split_whitespace().chain([text]))
            .filter(|text| !is_a_name(text));
        let mut hidden: Vec<String> = whole
            .flat_map(|text| [text, &text[..text.floor_char_boundary(NAME)]])
            .map(str::to_owned)
            .chain(password)
            // A shorter one would be found in every word.
            .filter(|text| text.len() >= 4)
            .collect();
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        hidden
    }

    fn shuffle<T>(&self, all: &mut [T]) {
        if self.shuffled {
            fastrand::shuffle(all);
        }
    }

    /// The user it connects as.
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }
}

/// The length in bytes to which PostgreSQL cuts a name.
const NAME: usize = 63;

/// Whether this is a name as roles and databases have one, with no password
/// pasted to it.
fn is_a_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.chars().all(plain)
}

async fn recovers(client: &Client) -> Result<bool, StoreError> {
    let answer = client.simple_query(include_str!("./recovers.sql")).await;
    let answer = answer.map_err(|error| StoreError::of(&error))?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(row == Some("t"))
}

/// Warns of parameters that are ignored: once, however often the secret is read.
fn warn_of(field: &str, ignored: &[&str]) {
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if ignored.is_empty() {
        return;
    }
    let parameters = ignored.join(", ");
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.insert(format!("{field}: {parameters}")) {
        tracing::warn!(field, parameters, "ignored parameters of other tools");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_nothing_of_the_url_but_a_parameters_name() {
        for url in [
            "mysql://hidden:hidden@h/d",
            "hidden",
            "host=h password=hidden",
            "postgres://u:hidden@h/d?sslmode=hidden",
            "postgres://u:hidden@h/d?foo=hidden",
            "postgres://u:hid/hidden?hidden=x@h/d",
            "postgres://u:hidden@h:hidden/d",
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
