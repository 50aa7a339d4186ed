//! A database of a test's own, with the users that take part.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::postgres::{Postgres, connect};
use crate::tools::random_name;

/// An empty database with a random name; it lives as long as its server.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    app: String,
    owner: String,
    superuser: String,
}

impl Database {
    pub(crate) async fn create(server: &Postgres) -> Result<Self> {
        let name = random_name("test");
        let [app, owner] = [random_name("app"), random_name("owner")];
        let client = server.connect("postgres").await?;
        let users = format!(
            "CREATE ROLE {app} LOGIN PASSWORD '{app}';
            CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{owner}'"
        );
        client.batch_execute(&users).await.context("create users")?;
        let statement = format!("CREATE DATABASE {name} OWNER {owner}");
        client
            .batch_execute(&statement)
            .await
            .context("create a database")?;
        Ok(Self {
            app: server.url(&app, &app, &name),
            owner: server.url(&owner, &owner, &name),
            superuser: server.url("postgres", server.password(), &name),
            name,
        })
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of the login `app_…`, which may connect and nothing more.
    pub fn url(&self) -> &str {
        &self.app
    }

    /// The URL of the login `owner_…`, which owns the database and may create roles, but is no
    /// superuser: what Neon gives its customers.
    pub fn owner_url(&self) -> &str {
        &self.owner
    }

    /// The URL of the superuser.
    pub fn admin_url(&self) -> &str {
        &self.superuser
    }

    /// A connection of the superuser.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.superuser).await
    }

    /// Creates one more login without rights, and returns its URL.
    pub async fn login(&self, prefix: &str) -> Result<String> {
        let name = random_name(prefix);
        let statement = format!("CREATE ROLE {name} LOGIN PASSWORD '{name}'");
        self.connect()
            .await?
            .batch_execute(&statement)
            .await
            .context("create a user")?;
        let (_, address) = self.app.split_once('@').context("split a database URL")?;
        Ok(format!("postgres://{name}:{name}@{address}"))
    }
}
