//! `console`: its pages over HTTP, as a browser without scripts asks for them.

mod connect;
mod manage;
mod pages;
mod safe;
mod shown;
mod users;

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tests::function::Function;
use tests::stage::Stage;

/// What opens the console of a stage.
const TOKEN: &str = "the-token-of-this-console-0123456789";

/// A stage's console, and what a browser keeps of it.
struct Console {
    function: Function,
    http: reqwest::Client,
    cookie: Option<String>,
}

/// A page, as it was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Console {
    /// The console of a stage, where nobody is signed in.
    async fn of(stage: &Stage) -> Result<Self> {
        Self::with(stage, &[]).await
    }

    /// The same with variables in its environment.
    async fn with(stage: &Stage, variables: &[(&str, &str)]) -> Result<Self> {
        stage.change_secret(|secret| secret["console_token"] = TOKEN.into())?;
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = stage.environment().into_iter().chain(variables);
        let function = Function::spawn("console", environment).await?;
        function.ready().await?;
        Ok(Self {
            function,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            cookie: None,
        })
    }

    /// The console of a stage, where somebody is signed in.
    async fn open(stage: &Stage) -> Result<Self> {
        Self::of(stage).await?.signed_in().await
    }

    async fn signed_in(mut self) -> Result<Self> {
        let answer = self.post("sign-in", &[("console_token", TOKEN)]).await?;
        ensure!(answer.status == 303, "{}: {}", answer.status, answer.body);
        self.cookie = Some(answer.cookie()?);
        Ok(self)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let answer = request.send().await.context("ask the console")?;
        Ok(Answer {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.text().await?,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.function.url())
    }

    /// Whatever is answered.
    async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.http.get(self.url(path))).await
    }

    /// A page that is to be there.
    async fn page(&self, path: &str) -> Result<Answer> {
        let answer = self.get(path).await?;
        let logs = self.function.logs()?;
        ensure!(answer.status == 200, "{path}: {}\n{logs}", answer.status);
        Ok(answer)
    }

    /// Sends a form as it stands here, from a page of the console.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        self.post_from(path, fields, self.function.url()).await
    }

    async fn post_from(&self, path: &str, fields: &[(&str, &str)], origin: &str) -> Result<Answer> {
        let request = self.http.post(self.url(path)).header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(encoded(fields))).await
    }

    /// Sends a form of a page with more fields, as its button does.
    async fn press(&self, page: &Answer, action: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let form = page.form(action)?;
        let mut all: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &form {
            if !fields.iter().any(|(given, _)| given == name) {
                all.push((name, value));
            }
        }
        all.extend(fields);
        self.post(action, &all).await
    }

    /// Invokes it with a request from another address.
    async fn sign_in_from(&self, address: &str, token: &str) -> Result<Value> {
        let event = json!({
            "version": "2.0",
            "rawPath": "/sign-in",
            "rawQueryString": "",
            "headers": {"host": "h", "content-type": "application/x-www-form-urlencoded"},
            "requestContext": {"http": {"method": "POST", "sourceIp": address}},
            "body": encoded(&[("console_token", token)]),
            "isBase64Encoded": false,
        });
        Ok(self.function.invoke(event).await?)
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The cookie that it sets, as a browser sends it back.
    fn cookie(&self) -> Result<String> {
        let set = self.header("set-cookie");
        let (cookie, _) = set.split_once(';').context("no cookie is set")?;
        Ok(cookie.to_owned())
    }

    /// The fields that a form of the page sends by itself.
    fn form(&self, action: &str) -> Result<HashMap<String, String>> {
        let forms = self.body.split("<form ").skip(1);
        let mut forms = forms.filter(|form| {
            let head = form.split('>').next().unwrap_or_default();
            attribute(head, "action").is_some_and(|found| {
                found.trim_start_matches("../").trim_start_matches("./") == action
            })
        });
        let form = forms
            .next()
            .with_context(|| format!("no form {action}:\n{}", self.body))?;
        let form = form.split("</form>").next().unwrap_or_default();
        let inputs = form.split("<input ").skip(1);
        let fields = inputs.filter_map(|input| {
            let tag = input.split('>').next()?;
            Some((
                attribute(tag, "name")?,
                attribute(tag, "value").unwrap_or_default(),
            ))
        });
        Ok(fields.collect())
    }

    fn shows(&self, words: &str) -> Result<()> {
        ensure!(
            self.body.contains(words),
            "it does not show {words}:\n{}",
            self.body
        );
        Ok(())
    }

    fn hides(&self, words: &str) -> Result<()> {
        ensure!(
            !self.body.contains(words),
            "it shows {words}:\n{}",
            self.body
        );
        Ok(())
    }

    /// The addresses of its links that begin so, as they stand.
    fn links(&self, begin: &str) -> Vec<String> {
        let links = self.body.split("href=\"").skip(1);
        let links = links.filter_map(|link| link.split('"').next());
        let links = links.map(|link| link.replace("&amp;", "&"));
        links.filter(|link| link.starts_with(begin)).collect()
    }
}

/// A tag's attribute, as text.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let escape = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
