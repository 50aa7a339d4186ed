//! How long the pages of `console` take beside a crowd of users.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use crate::function::Function;
use crate::postgres::{Options, Postgres};
use crate::stage::{Setup, Stage};

/// The time that a page may take, in the middle of its rounds.
pub const LIMIT: Duration = Duration::from_millis(50);

/// How often each page is asked for, after once that does not count.
const ROUNDS: usize = 15;

const TOKEN: &str = "the-token-of-these-pages-0123456789";

/// The median and the longest time of a page.
#[derive(Debug, Clone)]
pub struct PageTime {
    /// The page, in words.
    pub name: &'static str,
    /// Half of the rounds took no longer.
    pub median: Duration,
    /// No round took longer.
    pub longest: Duration,
}

/// The pages by what is looked at, and their addresses.
const PAGES: &[(&str, &str)] = &[
    ("overview, a day", ""),
    ("overview, a week", "?over=week"),
    ("connection", "connect"),
    ("users", "users"),
    (
        "users, in the middle",
        "users?among=all&by=2&key=&after=80000000",
    ),
    ("living users", "users?among=living"),
    (
        "living users, in the middle",
        "users?among=living&by=2&key=&after=80000000",
    ),
    ("deleted users", "users?among=deleted"),
    (
        "deleted users, in the middle",
        "users?among=deleted&by=2&key=&after=80000000",
    ),
    ("placeholders", "users?among=placeholders"),
    (
        "placeholders, in the middle",
        "users?among=placeholders&by=2&key=&after=80000000",
    ),
    ("a letter, which many begin with", "users?q=a"),
    ("a name of one user in twenty", "users?q=ada"),
    ("the same among the living", "users?q=ada&among=living"),
    ("the same among the deleted", "users?q=ada&among=deleted"),
    (
        "the same among placeholders",
        "users?q=ada&among=placeholders",
    ),
    (
        "the same, in the middle",
        "users?q=ada&by=0&key=ada%20floyd%205&after=80000000",
    ),
    ("a whole name", "users?q=Ada%20Allen%2020"),
    ("e-mails that some begin with", "users?q=ada1"),
    ("an e-mail", "users?q=grace27%40example.com"),
    ("the begin of an id", "users?q=8f"),
    ("nothing is found", "users?q=zebra"),
    ("runs", "runs"),
    ("runs, in the middle", "runs?before=200"),
    ("a run and its repairs", "run?id=200"),
    ("open rejections", "rejections"),
    ("all rejections", "rejections?among=all"),
    (
        "all rejections, in the middle",
        "rejections?among=all&before=500",
    ),
    ("a rejection", "rejection?id=1"),
];

/// Times each page beside a crowd of so many users, on a server of its own.
pub async fn console_pages(users: u64) -> Result<Vec<PageTime>> {
    let server = Postgres::start(Options::default()).await?;
    let stage = Stage::on(&server, Setup::default()).await?;
    let client = stage.database.connect().await?;
    stage.change_secret(|secret| secret["console_token"] = TOKEN.into())?;
    // With the indexes that a console has.
    stage.provision().await?;
    crowd(&client, users).await?;
    let function = stage.start("console").await?;
    let console = Console::sign_in(&function).await?;
    let mut times = Vec::new();
    for (name, path) in PAGES {
        times.push(console.time(name, path).await?);
    }
    let id: String = client
        .query_one("SELECT max(user_id) FROM neon_identity.repairs", &[])
        .await?
        .get(0);
    let user = format!("user?id={id}");
    times.push(console.time("a user with a history", &user).await?);
    Ok(times)
}

/// Fills a schema that has just been made with a crowd.
pub async fn crowd(client: &Client, users: u64) -> Result<()> {
    let crowd = include_str!("pages/crowd.sql");
    let filled =
        format!("BEGIN; SET LOCAL crowd.users = '{users}'; {crowd} COMMIT; VACUUM ANALYZE");
    for statements in filled.split_inclusive("COMMIT;") {
        client
            .batch_execute(statements)
            .await
            .context("seed a crowd")?;
    }
    Ok(())
}

/// Somebody who is signed in.
struct Console<'a> {
    function: &'a Function,
    http: reqwest::Client,
    cookie: String,
}

impl<'a> Console<'a> {
    async fn sign_in(function: &'a Function) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let url = format!("{}/sign-in", function.url());
        let form = http.post(url).header("origin", function.url());
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let form = form.body(format!("console_token={TOKEN}"));
        let answer = form.send().await.context("sign in")?;
        let cookie = answer.headers().get("set-cookie").context("no cookie")?;
        let (cookie, _) = cookie.to_str()?.split_once(';').context("half a cookie")?;
        let cookie = cookie.to_owned();
        Ok(Self {
            function,
            http,
            cookie,
        })
    }

    async fn time(&self, name: &'static str, path: &str) -> Result<PageTime> {
        let url = format!("{}/{path}", self.function.url());
        let mut took = Vec::new();
        for _ in 0..=ROUNDS {
            let begun = Instant::now();
            let request = self.http.get(&url).header("cookie", &self.cookie);
            let answer = request.send().await.context("ask for a page")?;
            let status = answer.status();
            let page = answer.text().await.context("read a page")?;
            took.push(begun.elapsed());
            ensure!(status == 200, "{path}: {status}\n{page}");
        }
        took.remove(0);
        took.sort();
        Ok(PageTime {
            name,
            median: took[ROUNDS / 2],
            longest: took[ROUNDS - 1],
        })
    }
}

/// The pages of which more than half the rounds took longer than [`LIMIT`].
pub fn over_the_limit(times: &[PageTime]) -> Vec<&'static str> {
    let over = times.iter().filter(|time| time.median > LIMIT);
    over.map(|time| time.name).collect()
}
