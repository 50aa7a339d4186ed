//! The documents lead where they say, and what they show of SQL and JSON works.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::stage::Stage;
use tests::tools::workspace;

/// The pages that a reader of README is led to.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![
        workspace().join("README.md"),
        workspace().join("ARCHITECTURE.md"),
        workspace().join("CHANGELOG.md"),
    ];
    for folder in ["docs", "docs/recipes"] {
        let entries = fs::read_dir(workspace().join(folder)).expect("a folder");
        let files = entries.flatten().map(|entry| entry.path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    pages
}

fn text(page: &Path) -> String {
    fs::read_to_string(page).expect("a page")
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let mut in_code = false;
    let text = text(page);
    let headings = text.lines().filter(|line| {
        in_code ^= line.starts_with("```");
        !in_code && line.starts_with('#')
    });
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// The targets of a page's links to files of the project.
fn links(page: &Path) -> Vec<String> {
    let text = text(page);
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let ours = targets.filter(|target| !target.contains("://"));
    ours.map(str::to_owned).collect()
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut followed = 0;
    for page in pages() {
        for link in links(&page) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !heading.is_empty() {
                let known = anchors(&target).contains(heading);
                assert!(known, "{}: {link} has no such heading", page.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 20, "{followed}");
}

#[test]
fn readme_is_short_and_leads_to_every_page_and_each_names_its_reader() {
    let readme = text(&workspace().join("README.md"));
    assert!(
        readme.lines().count() < 200,
        "README is to be read in three minutes"
    );
    for page in pages().iter().filter(|page| !page.ends_with("README.md")) {
        let name = page
            .strip_prefix(workspace())
            .expect("inside")
            .display()
            .to_string();
        if name != "CHANGELOG.md" {
            assert!(
                readme.contains(&format!("]({name})")),
                "README doesn't lead to {name}"
            );
        }
        if name.starts_with("docs/") {
            let head: String = text(page).lines().take(6).collect::<Vec<_>>().join(" ");
            assert!(head.contains("For "), "{name} doesn't name its readers");
        }
    }
}

/// The first block of this language that stands below a line of a page.
fn block(page: &str, below: &str, language: &str) -> Result<String> {
    let page = text(&workspace().join(page));
    let (_, rest) = page.split_once(below).context("the line")?;
    let (_, rest) = rest
        .split_once(&format!("```{language}\n"))
        .context("the block")?;
    let (block, _) = rest.split_once("\n```").context("the block's end")?;
    Ok(block.to_owned())
}

#[tokio::test]
async fn the_todos_application_of_the_readme_runs() -> Result<()> {
    let stage = Stage::new().await?;
    let sql = block("README.md", "With users-sync it inserts the todo", "sql")?;
    let (before, select) = sql.rsplit_once("\n\n").context("the join")?;
    stage.execute(before).await?;
    let todos = stage.json(select.trim().trim_end_matches(';')).await?;
    let expected = serde_json::json!({"task": "Write the README", "name": null, "email": null});
    assert_eq!(todos, [expected]);
    Ok(())
}

#[tokio::test]
async fn the_secret_of_the_documentation_is_one() -> Result<()> {
    let stage = Stage::new().await?;
    let shown = block("docs/configuration.md", "## The secret", "json")?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let fields = shown.as_object().context("an object")?;
    let ours = stage.secret();
    let ours = ours.as_object().context("an object")?;
    // Its values can't connect to anything; its fields are those that are read.
    for field in fields.keys() {
        let known = ours.contains_key(field) || field == "admin_database_url";
        ensure!(known, "{field} is not in the secret that the tests use");
    }
    Ok(())
}
