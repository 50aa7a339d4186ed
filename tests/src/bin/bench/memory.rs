//! The memory of a run.

use anyhow::Result;

use crate::ground::{Listed, run};
use crate::report::Report;
use crate::rounds::Rounds;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let listed = Listed::of(10_000).await?;
    let mut peaks = Rounds::default();
    for _ in 0..2 {
        listed.ground.begin_anew().await?;
        peaks.add(peak_mb(&listed, 2).await?);
    }
    report.figure("reconcile_rss_mb", &peaks)
}

/// The peak of an instance that runs so many times, in MB.
pub(crate) async fn peak_mb(listed: &Listed, runs: usize) -> Result<f64> {
    let reconcile = listed.reconcile().await?;
    for _ in 0..runs {
        run(&reconcile).await?;
    }
    Ok(reconcile.peak_memory()? as f64 * 1024.0 / 1e6)
}
