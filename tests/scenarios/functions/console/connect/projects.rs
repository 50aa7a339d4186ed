//! A project picked or made with an access token, and the token forgotten.

mod clerk;
mod stack;
mod supabase;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::providers::PROVIDERS;
use tests::simulator::{Access, Call, Fault, Trouble, Vendor};
use tests::stage::{Setup, Stage};

use super::super::{Answer, Console};

/// Where deliveries are to go.
const WEBHOOK: &str = "https://webhook.example/it's";

/// A console where no provider is connected, and the account that a token opens.
struct Account {
    stage: Stage,
    console: Console,
    access: Access,
    /// As in the secret's `provider.name`.
    name: String,
    /// All that was answered: addresses, headers and pages.
    seen: std::sync::Mutex<String>,
}

impl Account {
    async fn of(project: impl Vendor) -> Result<Self> {
        Self::with(project, &[("WEBHOOK_URL", WEBHOOK)]).await
    }

    async fn with(project: impl Vendor, variables: &[(&str, &str)]) -> Result<Self> {
        let stage = Stage::of(Setup::of(project)).await?;
        let name = stage.secret()["provider"]["name"].clone();
        stage.change_secret(|secret| {
            let secret = secret.as_object_mut().expect("an object");
            secret.remove("provider");
            secret.remove("signing_secrets");
        })?;
        // Nothing is bound yet, either.
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        let access = stage.simulator.account().context("no account")?;
        let told = access.variables.iter();
        let told = told.map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<_> = variables.iter().copied().chain(told).collect();
        Ok(Self {
            console: Console::with(&stage, &variables).await?.signed_in().await?,
            stage,
            access,
            name: name.as_str().unwrap_or_default().to_owned(),
            seen: std::sync::Mutex::default(),
        })
    }

    fn path(&self, below: &str) -> String {
        format!("connect/{}/projects{below}", self.name)
    }

    fn note(&self, answer: Answer) -> Answer {
        let mut seen = self.seen.lock().expect("no panic");
        seen.push_str(&format!("{:?}{}", answer.headers, answer.body));
        answer
    }

    async fn ask(&self) -> Result<Answer> {
        Ok(self.note(self.console.page(&self.path("")).await?))
    }

    /// Sends a form of the page, with the token.
    async fn press(&self, page: &Answer, below: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        self.press_with(&self.access.token, page, below, fields)
            .await
    }

    async fn press_with(
        &self,
        token: &str,
        page: &Answer,
        below: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut all = vec![("access_token", token)];
        let typed = fields.iter().any(|(name, _)| *name == "api_url");
        let address = self.access.api_url.as_deref().filter(|_| !typed);
        all.extend(address.map(|url| ("api_url", url)));
        all.extend(fields);
        let answer = self.console.press(page, &self.path(below), &all).await?;
        Ok(self.note(answer))
    }

    async fn list(&self) -> Result<Answer> {
        let page = self.ask().await?;
        let listed = self.press(&page, "", &[]).await?;
        ensure!(listed.status == 200, "{}: {}", listed.status, listed.body);
        Ok(listed)
    }

    /// Lists the projects and chooses one.
    async fn choose(&self, project: &str) -> Result<Answer> {
        let listed = self.list().await?;
        let fields = [("project", project)];
        self.press(&listed, "/choose", &fields).await
    }

    /// It is connected, and what the secret then holds.
    fn connected(&self, answer: &Answer, done: &str) -> Result<Value> {
        let logs = self.console.function.logs()?;
        ensure!(answer.status == 303, "{}\n{logs}", answer.body);
        let leads_to = format!("../../../connect/deliveries?done={done}");
        ensure!(
            answer.header("location") == leads_to,
            "{:?}",
            answer.headers
        );
        ensure!(logs.contains("connected a provider"), "{logs}");
        self.stage.kept_secret()
    }

    /// Nothing was connected, and the page says why.
    fn refused(&self, answer: &Answer, words: &str) -> Result<()> {
        ensure!(answer.status == 422, "{}: {}", answer.status, answer.body);
        answer.shows("role=\"alert\"")?;
        answer.shows(words)?;
        let kept = self.stage.kept_secret()?;
        ensure!(kept.get("provider").is_none(), "{kept}");
        Ok(())
    }

    /// None of these occurs in a page, an address, a log line, a row or the secret;
    /// `kept`: those that the secret alone may hold.
    async fn forgotten(&self, secrets: &[&str], kept: &[&str]) -> Result<()> {
        let mut everywhere = self.seen.lock().expect("no panic").clone();
        ensure!(everywhere.contains("<html"), "nothing was seen");
        everywhere.push_str(&self.console.function.logs()?);
        everywhere.push_str(&self.rows().await?);
        ensure!(everywhere.contains("\"walk\""), "no table was read");
        for secret in secrets
            .iter()
            .chain(kept)
            .chain([&self.access.token.as_str()])
        {
            ensure!(secret.len() > 20, "{secret} might occur by chance");
            ensure!(
                !everywhere.contains(secret),
                "{secret} occurs: {everywhere}"
            );
        }
        let file = self.stage.kept_secret()?.to_string();
        for secret in secrets.iter().chain([&self.access.token.as_str()]) {
            ensure!(!file.contains(secret), "{secret} is kept");
        }
        let requests = self.stage.simulator.requests();
        for request in requests {
            let address = format!("{}?{}", request.path, request.query);
            ensure!(!address.contains(&self.access.token), "{address}");
        }
        Ok(())
    }

    /// Every row of every table of the schema.
    async fn rows(&self) -> Result<String> {
        let tables = "SELECT table_name FROM information_schema.tables
            WHERE table_schema = 'neon_identity'";
        let mut rows = String::new();
        for table in self.stage.json(tables).await? {
            let name = table["table_name"].as_str().unwrap_or_default();
            rows.push_str(&format!("\"{name}\""));
            let all = format!("SELECT t::text AS row FROM neon_identity.\"{name}\" AS t");
            for row in self.stage.json(&all).await? {
                rows.push_str(&row.to_string());
            }
        }
        Ok(rows)
    }

    /// Has everything but the users answered so.
    fn troubled(&self, fault: Fault) {
        self.stage.simulator.clear_troubles();
        let trouble = Trouble::every(fault).on(Call::Other);
        self.stage.simulator.add_trouble(trouble);
    }
}

fn answered(status: u16, body: &str) -> Fault {
    Fault::Answer {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn a_provider_without_accounts_has_no_such_page() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::open(&stage).await?;
    for provider in PROVIDERS {
        let there = (provider.project)().account("http://h").is_some();
        let path = format!("connect/{}", provider.name);
        let keys = console.page(&path).await?;
        ensure!(keys.body.contains("Instead of keys") == there, "{path}");
        let asked = console.get(&format!("{path}/projects")).await?;
        let expected = if there { 200 } else { 404 };
        ensure!(asked.status == expected, "{path}: {}", asked.status);
        // Nobody is asked without a token.
        let form = keys.form("sign-out")?;
        let fields = [("form_token", form["form_token"].as_str())];
        for below in ["/make", "/nothing"] {
            let path = format!("{path}/projects{below}");
            let answer = console.post(&path, &fields).await?;
            let known = there && below == "/make";
            let expected = if known { 422 } else { 404 };
            ensure!(answer.status == expected, "{path}: {}", answer.status);
        }
    }
    Ok(())
}
