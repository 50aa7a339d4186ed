//! `docs/cost.md` and `docs/scale.md` are what their programs print, and the schedule that the first
//! recommends is the default.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::tools::{python_program, workspace};

#[test]
fn the_pages_of_costs_and_of_scale_are_what_their_programs_print() -> Result<()> {
    for name in ["cost", "scale"] {
        let program = workspace().join(format!("tests/{name}.py"));
        let printed = Command::new(python_program("python")?)
            .arg(program)
            .output()?;
        ensure!(printed.status.success(), "{printed:?}");
        let page = fs::read_to_string(workspace().join(format!("docs/{name}.md")))?;
        ensure!(
            String::from_utf8(printed.stdout)? == page,
            "run: python3 tests/{name}.py > docs/{name}.md"
        );
    }
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
