//! Plots, drawn as SVG on the server: bars, one over the other, or lines. Each has
//! its figures as a table, too, for whoever does not see it.

use maud::{Markup, html};

use crate::show;

/// Units of the drawing; the stylesheet gives it its size.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// A plot of some series over the same stretches.
pub(crate) struct Plot<'a> {
    /// Distinct in its page.
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    /// The unit that a figure counts.
    pub(crate) unit: &'a str,
    /// The name of each stretch.
    pub(crate) stretches: &'a [String],
    /// Each with as many figures as there are stretches; none: nothing is known.
    pub(crate) series: Vec<(&'static str, Vec<Option<i64>>)>,
}

impl Plot<'_> {
    /// Bars, the series of a stretch one over the other.
    pub(crate) fn bars(&self) -> Markup {
        let sums = (0..self.stretches.len()).map(|place| self.sum(place));
        let known = sums.max().filter(|most| *most > 0);
        let most = known.unwrap_or(1);
        let step = WIDTH / self.stretches.len().max(1) as f64;
        let mut bars = Vec::new();
        for place in 0..self.stretches.len() {
            let mut below = 0;
            for (number, (_, figures)) in self.series.iter().enumerate() {
                let figure = figures.get(place).copied().flatten().unwrap_or_default();
                if figure > 0 {
                    let top = HEIGHT - HEIGHT * (below + figure) as f64 / most as f64;
                    let height = HEIGHT * figure as f64 / most as f64;
                    bars.push((number, place as f64 * step + 1.0, top, height));
                }
                below += figure;
            }
        }
        self.framed(
            known,
            html! {
                @for (number, x, y, height) in &bars {
                    rect class=(format!("series-{number}")) x=(unit(*x)) y=(unit(*y))
                        width=(unit(step - 2.0)) height=(unit(*height)) {}
                }
            },
        )
    }

    /// A line for each series, broken where nothing is known.
    pub(crate) fn lines(&self) -> Markup {
        let figures = self
            .series
            .iter()
            .flat_map(|(_, figures)| figures.iter().flatten());
        let known = figures.copied().max();
        let most = known.unwrap_or(1).max(1);
        let step = WIDTH / self.stretches.len().max(1) as f64;
        let path = |figures: &[Option<i64>]| {
            let mut path = String::new();
            let mut pen_down = false;
            for (place, figure) in figures.iter().enumerate() {
                let Some(figure) = figure else {
                    pen_down = false;
                    continue;
                };
                let x = unit((place as f64 + 0.5) * step);
                let y = unit(HEIGHT - HEIGHT * *figure as f64 / most as f64);
                path.push_str(&format!("{}{x} {y}", if pen_down { "L" } else { "M" }));
                // A stretch alone is a dot.
                if !pen_down {
                    path.push_str(&format!("L{x} {y}"));
                }
                pen_down = true;
            }
            path
        };
        self.framed(
            known,
            html! {
                @for (number, (_, figures)) in self.series.iter().enumerate() {
                    path class=(format!("line-{number}")) d=(path(figures)) {}
                }
            },
        )
    }

    fn sum(&self, place: usize) -> i64 {
        let figures = self.series.iter();
        figures
            .filter_map(|(_, figures)| figures.get(place).copied().flatten())
            .sum()
    }

    fn framed(&self, most: Option<i64>, drawing: Markup) -> Markup {
        let (id, first) = (self.id, self.stretches.first());
        html! {
            figure.card.plot aria-labelledby=(id) {
                figcaption id=(id) {
                    strong { (self.title) }
                    span.quiet {
                        @match most {
                            Some(most) => { ", at most " (show::number(most)) " " (self.unit) }
                            None => ", none yet",
                        }
                    }
                }
                svg viewBox=(format!("0 -2 {WIDTH} {}", HEIGHT + 4.0)) preserveAspectRatio="none"
                    aria-hidden="true" focusable="false" {
                    line.ground x1="0" x2=(unit(WIDTH)) y1=(unit(HEIGHT)) y2=(unit(HEIGHT)) {}
                    (drawing)
                }
                p.axis aria-hidden="true" {
                    span { (first.map_or("", String::as_str)) } span { "now" }
                }
                ul.legend aria-hidden="true" {
                    @for (number, (name, _)) in self.series.iter().enumerate() {
                        li { span.swatch.(format!("swatch-{number}")) {} (name) }
                    }
                }
                (self.table())
            }
        }
    }

    fn table(&self) -> Markup {
        html! {
            details {
                summary { "As a table" }
                div.scroll tabindex="0" role="region" aria-label=(self.title) {
                    table.list.plain-list {
                        caption.hidden { (self.title) }
                        thead {
                            tr {
                                th scope="col" { "From" }
                                @for (name, _) in &self.series { th.count scope="col" { (name) } }
                            }
                        }
                        tbody {
                            @for (place, stretch) in self.stretches.iter().enumerate() {
                                tr {
                                    th scope="row" { (stretch) }
                                    @for (_, figures) in &self.series {
                                        td.count {
                                            @match figures.get(place).copied().flatten() {
                                                Some(figure) => (show::number(figure)),
                                                None => "–",
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A coordinate, to a tenth.
fn unit(length: f64) -> String {
    format!("{:.1}", length.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(stretches: &[String]) -> Plot<'_> {
        Plot {
            id: "p",
            title: "Deliveries",
            unit: "deliveries",
            stretches,
            series: vec![
                ("applied", vec![Some(3), None, Some(1)]),
                ("failed", vec![Some(1), Some(0), None]),
            ],
        }
    }

    #[test]
    fn bars_stand_one_over_the_other_and_reach_the_top_where_they_are_most() {
        let stretches = ["a", "b", "c"].map(str::to_owned);
        let drawn = plot(&stretches).bars().into_string();
        assert!(drawn.contains("at most 4 deliveries"), "{drawn}");
        assert_eq!(drawn.matches("<rect ").count(), 3);
        // 3 of 4 from the ground, and 1 of 4 over it.
        assert!(
            drawn.contains(r#"y="30.0" width="198.0" height="90.0""#),
            "{drawn}"
        );
        assert!(
            drawn.contains(r#"y="0.0" width="198.0" height="30.0""#),
            "{drawn}"
        );
    }

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let stretches = ["a", "b", "c"].map(str::to_owned);
        let drawn = plot(&stretches).lines().into_string();
        assert!(
            drawn.contains("M100.0 0.0L100.0 0.0M500.0 80.0L500.0 80.0"),
            "{drawn}"
        );
    }

    #[test]
    fn nothing_at_all_is_drawn_too() {
        let empty = Plot {
            series: Vec::new(),
            ..plot(&[])
        };
        assert!(empty.bars().into_string().contains("none yet"));
        assert!(empty.lines().into_string().contains("<svg"));
    }
}
