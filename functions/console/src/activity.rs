//! Plots of what happened over a day or a week.

use maud::{Markup, html};
use shared::store::StoreError;
use shared::store::desk::Stretch;

use crate::plot::Plot;
use crate::visit::Visit;

/// The plots; nothing where the schema keeps no record of deliveries yet.
pub(crate) async fn shown(visit: &Visit<'_>) -> Result<Markup, StoreError> {
    let week = visit.request.query().get("over") == Some("week");
    let (hours, stretches) = if week { (6, 28) } else { (1, 24) };
    let stretches = match visit.desk().activity(hours, stretches).await {
        Err(StoreError::NotProvisioned) => return Ok(html! {}),
        stretches => stretches?,
    };
    let names: Vec<String> = stretches
        .iter()
        .map(|stretch| name(stretch, week))
        .collect();
    let current = |here: bool| here.then_some("true");
    Ok(html! {
        section aria-labelledby="activity" {
            h2 id="activity" { "Activity" }
            p.switch {
                a href=(visit.link("")) aria-current=[current(!week)] { "A day" }
                a href=(visit.link("?over=week")) aria-current=[current(week)] { "A week" }
            }
            div.plots {
                (deliveries(&stretches, &names))
                (lag(&stretches, &names))
                (repairs(&stretches, &names))
            }
        }
    })
}

/// When a stretch begins, in UTC.
fn name(stretch: &Stretch, week: bool) -> String {
    let begin = stretch.begin.to_rfc3339_millis();
    let day = begin.get(5..10).unwrap_or_default();
    let clock = begin.get(11..16).unwrap_or_default();
    match week {
        true => format!("{day} {clock} UTC"),
        false => format!("{clock} UTC"),
    }
}

fn column(stretches: &[Stretch], read: fn(&Stretch) -> Option<i64>) -> Vec<Option<i64>> {
    stretches.iter().map(read).collect()
}

fn deliveries(stretches: &[Stretch], names: &[String]) -> Markup {
    let plot = Plot {
        id: "deliveries",
        title: "Deliveries by outcome",
        unit: "in a stretch",
        stretches: names,
        series: vec![
            ("applied", column(stretches, |s| Some(s.applied))),
            ("nothing new", column(stretches, |s| Some(s.unchanged))),
            ("rejected", column(stretches, |s| Some(s.rejected))),
            ("answered 503", column(stretches, |s| Some(s.failed))),
        ],
    };
    plot.bars()
}

fn lag(stretches: &[Stretch], names: &[String]) -> Markup {
    let plot = Plot {
        id: "lag",
        title: "From the change to the row",
        unit: "ms",
        stretches: names,
        series: vec![
            ("95 % are quicker", column(stretches, |s| s.lag_p95_ms)),
            ("half are quicker", column(stretches, |s| s.lag_p50_ms)),
        ],
    };
    plot.lines()
}

fn repairs(stretches: &[Stretch], names: &[String]) -> Markup {
    let plot = Plot {
        id: "repairs",
        title: "Users that runs repaired",
        unit: "users",
        stretches: names,
        series: vec![("repaired", column(stretches, |s| Some(s.repaired)))],
    };
    plot.bars()
}
