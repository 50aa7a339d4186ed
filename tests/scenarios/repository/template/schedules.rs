//! Each schedule is one that AWS takes, and invokes its function with an event that it knows.

use serde_json::Value;

use super::{assert_breaks, assert_follows, text, walk};

#[test]
fn every_schedule_is_one_that_aws_takes() {
    assert_follows(schedules);
    assert_breaks(schedules, "rate(3 hours)", "rate(3 hour)", "rate(3 hour)");
    assert_breaks(schedules, "!Ref Schedule", "rate(1 hours)", "rate(1 hours)");
}

#[test]
fn a_schedule_has_the_right_unit_and_fields() {
    for good in [
        "rate(1 minute)",
        "rate(2 hours)",
        "rate(1 day)",
        "cron(0/15 * * * ? *)",
        "cron(30 4 ? * MON *)",
    ] {
        assert!(is_schedule(good), "{good}");
    }
    for bad in [
        "rate(1 minutes)",
        "rate(15 minute)",
        "rate(0 minutes)",
        "rate(15 seconds)",
        "rate(15minutes)",
        "cron(0/15 * * * *)",
        "cron(0/15 * * * * *)",
        "cron(0 4 ? * ? *)",
        "every 15 minutes",
    ] {
        assert!(!is_schedule(bad), "{bad}");
    }
}

#[test]
fn the_record_of_events_is_drained_where_somebody_says_so() {
    assert_follows(inputs);
    assert_breaks(
        inputs,
        r#"{"mode":"events"}"#,
        r#"{"mode":"event"}"#,
        r#""event""#,
    );
    assert_breaks(inputs, "Default: DISABLED", "Default: ENABLED", "State");
    assert_breaks(inputs, "!Ref EventsScheduleState", "ENABLED", "State");
    assert_breaks(inputs, "Input: \"{}\"", "Input: \"\"", "{}");
}

fn schedules(template: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut found = 0;
    walk(template, &mut |key, value| {
        if key == "ScheduleExpression" || key == "Schedule" && value.is_string() {
            found += 1;
            let parameter = value["Ref"]
                .as_str()
                .map(|name| &template["Parameters"][name]["Default"]);
            let expression = text(parameter.unwrap_or(value));
            if !is_schedule(expression) {
                problems.push(format!("no schedule: {expression}"));
            }
        }
    });
    if found == 0 {
        problems.push("nothing runs on a schedule".to_owned());
    }
    problems
}

/// The events with which schedules invoke `reconcile`: always a run over the listing; one over the
/// record of events, which most providers don't keep, only where a parameter's default was changed.
fn inputs(template: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut listings = 0;
    let events = &template["Resources"]["ReconcileFunction"]["Properties"]["Events"];
    for (name, event) in events.as_object().into_iter().flatten() {
        let properties = &event["Properties"];
        match text(&properties["Input"]) {
            "{}" => listings += usize::from(properties["State"].is_null()),
            r#"{"mode":"events"}"# => {
                let parameter = text(&properties["State"]["Ref"]);
                if template["Parameters"][parameter]["Default"] != "DISABLED" {
                    problems.push(format!("{name}: State is not DISABLED by default"));
                }
            }
            input => problems.push(format!("{name}: reconcile does not take {input}")),
        }
    }
    if listings != 1 {
        problems.push("not one schedule that invokes with {}".to_owned());
    }
    problems
}

/// Whether EventBridge takes it: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>,
/// and the stricter rules of the older scheduled rules.
fn is_schedule(expression: &str) -> bool {
    let inside = |kind: &str| {
        expression
            .strip_prefix(kind)?
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    if let Some(rate) = inside("rate") {
        return rate
            .split_once(' ')
            .is_some_and(|(value, unit)| match value.parse::<u32>() {
                Ok(1) => ["minute", "hour", "day"].contains(&unit),
                Ok(2..) => ["minutes", "hours", "days"].contains(&unit),
                _ => false,
            });
    }
    let fields: Vec<&str> = inside("cron")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    // One of the day of the month and the day of the week is left open.
    fields.len() == 6 && (fields[2] == "?") != (fields[4] == "?")
}
