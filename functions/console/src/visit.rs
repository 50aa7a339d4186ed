//! A request of somebody who is signed in: what each page gets.

use std::sync::Arc;

use maud::{Markup, html};
use shared::console_token::ConsoleToken;
use shared::credentials::Access;
use shared::settle::Sources;
use shared::store::desk::Desk;
use shared::store::{Patience, Store};
use std::time::Duration;
use tokio::time::Instant;

use crate::app::{App, Connected};
use crate::fault::Fault;
use crate::request::HttpRequest;
use crate::response::Response;
use crate::session::Session;

/// How long a page waits for its connection, and for a statement.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    statement: Duration::from_secs(30),
};

/// A request in a session. A POST has been checked by the time it is here: its
/// form is of this session and of this site, and changes are allowed.
pub(crate) struct Visit<'a> {
    pub(crate) app: &'a App,
    pub(crate) connected: Arc<Connected>,
    pub(crate) request: &'a HttpRequest,
    /// When to give up.
    pub(crate) until: Instant,
    session: Session,
    token: ConsoleToken,
}

impl<'a> Visit<'a> {
    pub(crate) fn new(
        app: &'a App,
        connected: Arc<Connected>,
        request: &'a HttpRequest,
        session: Session,
        token: ConsoleToken,
        until: Instant,
    ) -> Self {
        Self {
            app,
            connected,
            request,
            until,
            session,
            token,
        }
    }

    /// Whether the form that was sent was made in this session.
    pub(crate) fn made_this_form(&self) -> bool {
        let form = self.request.form().get("form_token");
        form.is_some_and(|form| self.session.made(&self.token, form))
    }

    /// The cookie of a session of this token.
    pub(crate) fn cookie(&self, session: &Session) -> String {
        session.cookie(&self.token)
    }

    /// The schema, as it is read.
    pub(crate) fn desk(&self) -> &Desk {
        &self.connected.desk
    }

    /// The access that the secret gives, if a provider is connected.
    pub(crate) fn access(&self) -> Option<&Access> {
        self.connected.opened.access.as_ref()
    }

    /// A connection of its own to the table, as the connected provider's functions
    /// have it.
    pub(crate) fn store(&self) -> Result<Store, Fault> {
        let access = self.access().ok_or_else(Fault::not_connected)?;
        let (database, schema) = (access.database.clone(), self.app.schema.clone());
        let store = Store::new(database, schema, access.provider.facts(), PATIENCE);
        Ok(store.until(self.until))
    }

    /// Where a user can be looked up.
    pub(crate) fn sources<'b>(&'b self, store: &'b Store) -> Result<Sources<'b>, Fault> {
        let access = self.access().ok_or_else(Fault::not_connected)?;
        Ok(Sources {
            store,
            provider: access.provider.as_ref(),
            client: &self.app.client,
        })
    }

    /// A link to a page, by its path from the root, which this page may lie below.
    pub(crate) fn link(&self, place: &str) -> String {
        self.request.up(place)
    }

    /// A form that changes something: `fields` and its buttons. Nothing in it can be
    /// used where the console is read-only.
    pub(crate) fn form(&self, action: &str, fields: Markup) -> Markup {
        html! {
            form method="post" action=(self.link(action)) {
                input type="hidden" name="form_token"
                    value=(self.session.form_token(&self.token));
                fieldset disabled[self.app.read_only] { (fields) }
            }
        }
    }

    /// Leads to another page, after something was done.
    pub(crate) fn lead_to(&self, place: &str) -> Response {
        Response::lead_to(&self.link(place))
    }

    /// A function that has answered is frozen: what is cancelled is cancelled before.
    pub(crate) async fn let_go(&self) {
        self.desk().let_go().await;
    }

    /// The button that ends the session.
    pub(crate) fn sign_out(&self) -> Markup {
        html! {
            form method="post" action=(self.link("sign-out")) {
                input type="hidden" name="form_token"
                    value=(self.session.form_token(&self.token));
                button.plain type="submit" { "Sign out" }
            }
        }
    }
}
