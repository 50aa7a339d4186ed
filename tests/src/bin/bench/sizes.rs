//! The size of what is deployed.

use anyhow::{Context, Result};
use tests::tools::workspace;

use crate::report::{Report, note};
use crate::rounds::Rounds;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut sizes = Rounds::default();
    for function in ["webhook", "reconcile", "provision", "console"] {
        let path = workspace().join("target/release").join(function);
        let size = std::fs::metadata(path).context("read a program's size")?;
        let size = size.len() as f64 / 1e6;
        note(&format!("{function}: MB"), &size.into());
        sizes.add(size);
    }
    let (_, largest) = sizes.range();
    report.figure("binary_mb", &largest.into())
}
