//! A million users beside a hundred thousand: time and memory.

use anyhow::Result;

use crate::ground::Listed;
use crate::memory::peak_mb;
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 3;
const FEW: u32 = 100_000;
const MANY: u32 = 1_000_000;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let (few, many) = (Listed::of(FEW).await?, Listed::of(MANY).await?);
    let (mut short, mut long) = <(Rounds, Rounds)>::default();
    for _ in 0..ROUNDS {
        short.add(f64::from(FEW) / few.timed("unchanged").await?.rate);
        long.add(f64::from(MANY) / many.timed("unchanged").await?.rate / 10.0);
    }
    report.figure("reconcile_growth", &long.over(&short))?;
    note("100 000 users: seconds", &short);
    note("a tenth of a million: seconds", &long);
    many.ground.begin_anew().await?;
    report.figure("reconcile_rss_mb_1m", &peak_mb(&many, 2).await?.into())
}
