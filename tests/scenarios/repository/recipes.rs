//! The pages of docs/recipes, docs/moving-from-neon.md and README.md, run: each SQL block of theirs is read
//! out of the page and given to psql, so that no page says what does not work.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::database::Database;
use tests::postgres::{Options, Postgres};
use tests::tools::{random_name, workspace};

use crate::site::Site;

mod leaving_neon;
mod moving;
mod reacting;
mod row_security;
mod todos;

/// The pages, by the names of their files.
const PAGES: [&str; 3] = [moving::PAGE, reacting::PAGE, row_security::PAGE];

/// A page's blocks of SQL that were not taken out yet, each with the heading that it stands below.
struct Page {
    name: &'static str,
    blocks: Vec<(String, String)>,
}

impl Page {
    fn read(name: &'static str) -> Result<Self> {
        let mut blocks = Vec::new();
        let (mut heading, mut block) = (String::new(), None::<String>);
        for line in text(name)?.lines() {
            match &mut block {
                Some(_) if line == "```" => {
                    blocks.extend(block.take().map(|sql| (heading.clone(), sql)));
                }
                Some(sql) => {
                    sql.push_str(line);
                    sql.push('\n');
                }
                None if line == "```sql" => block = Some(String::new()),
                None => {
                    ensure!(!line.starts_with("```"), "{name}: a block that is not SQL");
                    if line.starts_with('#') {
                        heading = line.trim_start_matches(['#', ' ']).to_owned();
                    }
                }
            }
        }
        ensure!(block.is_none(), "{name}: a block without an end");
        Ok(Self { name, blocks })
    }

    /// Takes out the next block below this heading.
    fn take(&mut self, heading: &str) -> Result<String> {
        let next = self.blocks.iter().position(|(above, _)| above == heading);
        let next = next.with_context(|| format!("{}: no more SQL below {heading}", self.name))?;
        Ok(self.blocks.remove(next).1)
    }

    /// No block was left out.
    fn finish(self) -> Result<()> {
        ensure!(
            self.blocks.is_empty(),
            "{}: not run: {:?}",
            self.name,
            self.blocks
        );
        Ok(())
    }
}

fn text(page: &str) -> Result<String> {
    let path = workspace().join("docs/recipes").join(page);
    fs::read_to_string(path).with_context(|| format!("read {page}"))
}

/// Runs SQL as somebody does who pastes it into psql; the rows, their columns separated by
/// spaces. What psql says of an error is the error.
fn psql(server: &Postgres, url: &str, sql: &str) -> Result<String> {
    let mut program = Command::new(server.programs().join("psql"));
    program.args(["-X", "-q", "-A", "-t", "-F", " ", "-v", "ON_ERROR_STOP=1"]);
    program.args(["-v", "VERBOSITY=verbose", "-d", url]);
    let pipes = program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = pipes.stderr(Stdio::piped()).spawn().context("run psql")?;
    let input = running.stdin.take().context("write to psql")?;
    // It stops reading at an error, which it then tells.
    let _ = { input }.write_all(sql.as_bytes());
    let output = running.wait_with_output().context("wait for psql")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// A server without roles of ours, and a provisioned site on it.
async fn site() -> Result<(Postgres, Site)> {
    let server = Postgres::start(Options::default()).await?;
    let site = Site::on(&server).await?;
    site.provision().await?;
    Ok((server, site))
}

/// The URL of a login of this name, which is made first; the pages name it.
async fn login(database: &Database, name: &str) -> Result<String> {
    let password = random_name(name);
    let statement = format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'");
    let client = database.connect().await?;
    client
        .batch_execute(&statement)
        .await
        .context("create a user")?;
    let (_, address) = database
        .url()
        .split_once('@')
        .context("split a database URL")?;
    Ok(format!("postgres://{name}:{password}@{address}"))
}

#[test]
fn each_page_is_run_and_begins_with_its_reader() -> Result<()> {
    let folder = fs::read_dir(workspace().join("docs/recipes"))?;
    let pages: std::io::Result<BTreeSet<String>> = folder
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect();
    assert_eq!(pages?, PAGES.map(str::to_owned).into());
    for page in PAGES {
        let text = text(page)?;
        let first = text.lines().nth(2).context("a page of no lines")?;
        assert!(
            text.starts_with("# ") && first.starts_with("For an application"),
            "{page}"
        );
    }
    Ok(())
}
