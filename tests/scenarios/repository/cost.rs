//! `docs/cost.md` is what its program prints, and what it recommends is the default.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::tools::{python_program, workspace};

#[test]
fn the_page_of_costs_is_what_its_program_prints() -> Result<()> {
    let program = workspace().join("tests/cost.py");
    let printed = Command::new(python_program("python")?)
        .arg(program)
        .output()?;
    ensure!(printed.status.success(), "{printed:?}");
    let page = fs::read_to_string(workspace().join("docs/cost.md"))?;
    ensure!(
        String::from_utf8(printed.stdout)? == page,
        "run: python3 tests/cost.py > docs/cost.md"
    );
    Ok(())
}

#[test]
fn the_schedule_that_it_recommends_is_the_default() -> Result<()> {
    let page = fs::read_to_string(workspace().join("docs/cost.md"))?;
    let (_, rest) = page.split_once("`Schedule` is `").context("a schedule")?;
    let (schedule, _) = rest.split_once('`').context("its end")?;
    let hours = schedule
        .strip_prefix("rate(")
        .and_then(|rest| rest.strip_suffix(" hours)"));
    let seconds = 3600 * hours.context("hours")?.parse::<u64>()?;
    let template = fs::read_to_string(workspace().join("template.yaml"))?;
    for default in [
        format!("    Default: {schedule}\n"),
        format!("    Default: {seconds}\n    AllowedValues: [60, "),
    ] {
        ensure!(
            template.contains(&default),
            "template.yaml has no {default}"
        );
    }
    Ok(())
}
