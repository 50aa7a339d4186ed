//! The size of what is deployed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tests::tools::workspace;

use crate::report::{Report, note};
use crate::rounds::Rounds;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let folder = std::env::var_os("USERS_SYNC_BIN_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| workspace().join("target/release"));
    let mut sizes = Rounds::default();
    for function in ["webhook", "reconcile", "provision", "console"] {
        let size = std::fs::metadata(folder.join(function)).context("read a program's size")?;
        let size = size.len() as f64 / 1e6;
        note(&format!("{function}: MB"), &size.into());
        sizes.add(size);
    }
    let (_, largest) = sizes.range();
    report.figure("binary_mb", &largest.into())
}
