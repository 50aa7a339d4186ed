//! The figures that alarms watch beside those that Lambda counts by itself, as
//! lines of the log in CloudWatch's embedded metric format.
//!
//! Invariants: they are written here and nowhere else. Each costs about 30 cents a
//! month, so each says what it is for, and there are five at most. None holds
//! anything of a profile.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::io::Write;

use serde::{Serialize, Serializer};

use crate::time::WallClock;

/// As in `template.yaml`.
const NAMESPACE: &str = "users-sync";

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Users of whom a webhook should have told, and none did. It shows that an
    /// endpoint was disabled, or never listened to the events. Each run writes it.
    MissedWebhooks,
    /// Deliveries and listed users that can't be stored, and wait for somebody.
    /// Each run writes it.
    OpenRejections,
    /// Milliseconds from the provider's own time of a change to the commit. It
    /// shows that deliveries come late. Each delivery writes it.
    DeliveryLag,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::MissedWebhooks => "MissedWebhooks",
            Self::OpenRejections => "OpenRejections",
            Self::DeliveryLag => "DeliveryLag",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::MissedWebhooks | Self::OpenRejections => "Count",
            Self::DeliveryLag => "Milliseconds",
        }
    }
}

/// Where figures go.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The Lambda function whose figures they are; `None`: nobody wants any.
    function: Option<String>,
}

impl Metrics {
    /// The figures of the Lambda function of this name.
    pub fn of(function: String) -> Self {
        Self {
            function: Some(function),
        }
    }

    /// Writes figures of now.
    pub fn write(&self, figures: &[(Metric, i64)]) {
        let Some(function) = &self.function else {
            return;
        };
        let mut line = line(function, figures, WallClock::read());
        line.push('\n');
        // Without a log there are no figures either.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn line(function: &str, figures: &[(Metric, i64)], now: WallClock) -> String {
    let metrics = figures.iter().map(|(metric, _)| Definition {
        name: metric.name(),
        unit: metric.unit(),
    });
    let line = Line {
        aws: Aws {
            timestamp: now.millis(),
            directives: [Directive {
                namespace: NAMESPACE,
                dimensions: [["FunctionName"]],
                metrics: metrics.collect(),
            }],
        },
        function,
        figures: Figures(figures),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws")]
    aws: Aws,
    #[serde(rename = "FunctionName")]
    function: &'a str,
    #[serde(flatten)]
    figures: Figures<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

/// The figures, each by its name.
struct Figures<'a>(&'a [(Metric, i64)]);

impl Serialize for Figures<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(
            self.0
                .iter()
                .map(|(metric, figure)| (metric.name(), figure)),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::time::tests::clock;

    #[test]
    fn a_line_defines_each_figure_that_it_holds() {
        let figures = [(Metric::MissedWebhooks, 2), (Metric::OpenRejections, 0)];
        let line = line("one-reconcile", &figures, clock(1_700_000_000_123));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_123_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "users-sync",
                        "Dimensions": [["FunctionName"]],
                        "Metrics": [
                            {"Name": "MissedWebhooks", "Unit": "Count"},
                            {"Name": "OpenRejections", "Unit": "Count"},
                        ],
                    }],
                },
                "FunctionName": "one-reconcile",
                "MissedWebhooks": 2,
                "OpenRejections": 0,
            })
        );
    }
}
