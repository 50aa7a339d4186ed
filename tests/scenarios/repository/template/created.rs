//! The resources that AWS has once `template.yaml` is deployed: stacks of it are created in moto, one
//! with the defaults and one with all that can be switched on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::tools::workspace;

use super::translated::{python, translated};
use super::{assert_breaks_text, parse, source, text};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:mine";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1f0e";

/// All that is off by default.
fn everything() -> Value {
    json!({
        "SecretKeyArn": KEY,
        "Adopt": "true",
        "AlarmEmail": "oncall@example.com",
        "AlarmTopicArn": TOPIC,
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1",
        "WebhookConcurrency": "5",
        "Console": "true",
        "Dashboard": "true",
    })
}

/// The stacks that are created, by what they are to show.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum With {
    Nothing,
    Mail,
    Topic,
    Everything,
}

const ALL: [With; 4] = [With::Nothing, With::Mail, With::Topic, With::Everything];

fn parameters(with: With) -> Value {
    match with {
        With::Nothing => json!({}),
        With::Mail => json!({"AlarmEmail": "oncall@example.com"}),
        With::Topic => json!({"AlarmTopicArn": TOPIC}),
        With::Everything => everything(),
    }
}

/// A rule: gives the mistakes of a stack that was created with these parameters.
type Rule = fn(With, &Value) -> Vec<String>;

/// A rule is broken by one change to the template, which this stack shows; what the rule says then.
struct Break {
    rule: Rule,
    from: &'static str,
    to: &'static str,
    shown: With,
    says: &'static str,
}

/// Each rule is tested twice: the template follows it, and a template that was broken does not.
const BREAKS: &[Break] = &[
    Break {
        rule: permissions_rule,
        from: "Resource: !GetAtt WebhookLogs.Arn",
        to: "Resource: !GetAtt ReconcileLogs.Arn",
        shown: With::Nothing,
        says: "WebhookRole",
    },
    Break {
        rule: permissions_rule,
        from: "Role: !GetAtt WebhookRole.Arn",
        to: "Role: !GetAtt ReconcileRole.Arn",
        shown: With::Nothing,
        says: "one-webhook runs as",
    },
    Break {
        rule: permissions_rule,
        from: "          - HasSecretKey\n",
        to: "          - HasAlarmTopic\n",
        shown: With::Topic,
        says: "kms:Decrypt",
    },
    Break {
        rule: permissions_rule,
        from: "          - IsInVpc\n",
        to: "          - HasAlarmTopic\n",
        shown: With::Topic,
        says: "ec2:",
    },
    Break {
        rule: permissions_rule,
        from: "Resource: !Ref SecretKeyArn",
        to: "Resource: arn:aws:kms:us-east-1:123456789012:key/other",
        shown: With::Everything,
        says: "key/other",
    },
    Break {
        rule: permissions_rule,
        from: "                  - secretsmanager:GetSecretValue\n                  - secretsmanager:PutSecretValue\n",
        to: "                  - secretsmanager:GetSecretValue\n",
        shown: With::Everything,
        says: "PutSecretValue",
    },
    Break {
        rule: dead_letters_rule,
        from: "            Destination: !GetAtt DeadLetters.Arn\n",
        to: "            Destination: !GetAtt ReconcileFunction.Arn\n",
        shown: With::Nothing,
        says: "failures go to",
    },
    Break {
        rule: dead_letters_rule,
        from: "            DeadLetterConfig:\n              Arn: !GetAtt DeadLetters.Arn\n",
        to: "",
        shown: With::Nothing,
        says: "not kept",
    },
    Break {
        rule: alarms_rule,
        from: "TreatMissingData: breaching",
        to: "TreatMissingData: notBreaching",
        shown: With::Nothing,
        says: "no-run is not set off by [None, None]",
    },
    Break {
        rule: dashboard_rule,
        from: "    Condition: HasDashboard\n",
        to: "",
        shown: With::Nothing,
        says: "a dashboard: true",
    },
    Break {
        rule: alarms_rule,
        from: "MetricName: MissedWebhooks",
        to: "MetricName: MissedWebhook",
        shown: With::Nothing,
        says: "nobody writes the metric",
    },
    Break {
        rule: alarms_rule,
        from: "MetricName: Url4xxCount",
        to: "MetricName: Url5xxCount",
        shown: With::Nothing,
        says: "watches",
    },
    Break {
        rule: alarms_rule,
        from: "AlarmName: !Sub ${AWS::StackName}-throttles",
        to: "AlarmName: !Sub ${AWS::StackName}-webhook",
        shown: With::Nothing,
        says: "no alarm throttles",
    },
    Break {
        rule: actions_rule,
        from: "      OKActions:\n        - !If [HasAlarmEmail, !Ref AlarmTopic, !Ref AWS::NoValue]\n",
        to: "      OKActions:\n",
        shown: With::Mail,
        says: "OKActions of",
    },
    Break {
        rule: actions_rule,
        from: "Endpoint: !Ref AlarmEmail",
        to: "Endpoint: nobody@example.com",
        shown: With::Mail,
        says: "subscribed",
    },
];

/// The stacks of the template, by [`ALL`], and of each broken one: created by one program, which takes
/// its time to start.
fn created() -> &'static (Vec<Value>, Vec<Value>) {
    static CREATED: OnceLock<(Vec<Value>, Vec<Value>)> = OnceLock::new();
    CREATED.get_or_init(|| {
        let source = source();
        let mut asked = vec![json!({"template": source, "stacks": ALL.map(parameters)})];
        for Break {
            from, to, shown, ..
        } in BREAKS
        {
            assert!(source.contains(from), "nothing to break: {from:?}");
            let template = source.replacen(from, to, 1);
            asked.push(json!({"template": template, "stacks": [parameters(*shown)]}));
        }
        let mut stacks = python("create.py", &json!(asked));
        let broken = stacks.split_off(1);
        let whole = stacks.remove(0).as_array().expect("a list").clone();
        (whole, broken.iter().map(|one| one[0].clone()).collect())
    })
}

fn stack(with: With) -> &'static Value {
    &created().0[ALL.iter().position(|one| *one == with).expect("one of all")]
}

/// The template follows the rule, and each that was broken does not.
fn assert_rule(rule: Rule) {
    for with in ALL {
        assert_eq!(rule(with, stack(with)), Vec::<String>::new());
    }
    let own = BREAKS.iter().zip(&created().1);
    let mut broken = 0;
    for (way, stack) in own.filter(|(way, _)| std::ptr::fn_addr_eq(way.rule, rule)) {
        let problems = rule(way.shown, stack);
        let said = problems.iter().any(|problem| problem.contains(way.says));
        assert!(said, "{:?} became {:?}: {problems:?}", way.from, way.to);
        broken += 1;
    }
    assert!(broken > 0, "nothing shows that the rule can be broken");
}

#[test]
fn every_resource_of_the_template_is_made() {
    let template = translated(&source(), &[json!({})]).remove(0);
    let resources = template["Resources"].as_object().expect("resources");
    let (plain, whole) = (stack(With::Nothing), stack(With::Everything));
    let made = |stack: &Value| -> BTreeSet<String> {
        let names = stack["resources"].as_array().expect("a list");
        names.iter().map(|name| text(name).to_owned()).collect()
    };
    assert_eq!(whole["status"], "CREATE_COMPLETE");
    assert_eq!(made(whole), resources.keys().cloned().collect());
    assert_eq!(plain["status"], "CREATE_COMPLETE");
    let left_out: Vec<String> = made(whole).difference(&made(plain)).cloned().collect();
    let (console, others): (Vec<_>, Vec<_>) = left_out
        .iter()
        .map(String::as_str)
        .partition(|name| name.starts_with("Console"));
    assert_eq!(others, ["AlarmTopic", "OverviewDashboard"]);
    assert!(console.contains(&"ConsoleFunction") && console.contains(&"ConsoleRole"));
    assert!(plain["outputs"]["ConsoleUrl"].is_null());
    let url = text(&plain["outputs"]["WebhookUrl"]);
    assert!(url.starts_with("https://"), "{url}");
}

/// Each line of each policy of a stack's roles, by the role.
fn permissions(stack: &Value) -> BTreeMap<String, Vec<String>> {
    let listed = |value: &Value| match value {
        Value::Array(list) => list.iter().map(|one| text(one).to_owned()).collect(),
        one => vec![text(one).to_owned()],
    };
    let lines = |role: &Value| {
        let mut lines = Vec::new();
        for attached in role["attached"].as_array().expect("a list") {
            lines.push(format!("attached {attached}"));
        }
        for policy in role["policies"].as_object().expect("policies").values() {
            for statement in policy["Statement"].as_array().expect("statements") {
                for action in listed(&statement["Action"]) {
                    for resource in listed(&statement["Resource"]) {
                        let effect = text(&statement["Effect"]);
                        let condition = match &statement["Condition"] {
                            Value::Null => String::new(),
                            condition => format!(" if {condition}"),
                        };
                        lines.push(format!("{effect} {action} on {resource}{condition}"));
                    }
                }
            }
        }
        lines.sort();
        lines
    };
    let roles = stack["roles"].as_object().expect("roles").iter();
    roles
        .map(|(name, role)| (name.clone(), lines(role)))
        .collect()
}

/// The only actions that each role is allowed. One that begins with `+` is there only with a VPC or a
/// key.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "ConsoleRole",
        &[
            "Allow logs:CreateLogStream on LOGS/one-console",
            "Allow logs:PutLogEvents on LOGS/one-console",
            "Allow secretsmanager:GetSecretValue on SECRET",
            "Allow secretsmanager:PutSecretValue on SECRET",
            "+Allow kms:Decrypt on KEY",
            "+Allow kms:GenerateDataKey on KEY",
        ],
    ),
    (
        "ProvisionRole",
        &[
            "Allow logs:CreateLogStream on LOGS/one-provision",
            "Allow logs:PutLogEvents on LOGS/one-provision",
            "Allow secretsmanager:GetSecretValue on SECRET",
            "+Allow kms:Decrypt on KEY",
        ],
    ),
    (
        "ReconcileFunctionEventsRole",
        &[
            "Allow lambda:InvokeFunction on FUNCTION:one-reconcile",
            "Allow sqs:SendMessage on DEAD",
        ],
    ),
    (
        "ReconcileFunctionScheduleRole",
        &[
            "Allow lambda:InvokeFunction on FUNCTION:one-reconcile",
            "Allow sqs:SendMessage on DEAD",
        ],
    ),
    (
        "ReconcileRole",
        &[
            "Allow logs:CreateLogStream on LOGS/one-reconcile",
            "Allow logs:PutLogEvents on LOGS/one-reconcile",
            "Allow secretsmanager:GetSecretValue on SECRET",
            "Allow sqs:SendMessage on DEAD",
            "+Allow kms:Decrypt on KEY",
        ],
    ),
    (
        "WebhookRole",
        &[
            "Allow logs:CreateLogStream on LOGS/one-webhook",
            "Allow logs:PutLogEvents on LOGS/one-webhook",
            "Allow secretsmanager:GetSecretValue on SECRET",
            "+Allow kms:Decrypt on KEY",
        ],
    ),
];

/// The actions that Lambda needs to put a function into a VPC.
const INTERFACES: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

fn expected(whole: bool) -> BTreeMap<String, Vec<String>> {
    let named = |line: &str| {
        let account = "us-east-1:123456789012";
        let via =
            r#" if {"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}"#;
        line.replace(
            "LOGS",
            &format!("arn:aws:logs:{account}:log-group:/aws/lambda"),
        )
        .replace(
            "SECRET",
            &format!("arn:aws:secretsmanager:{account}:secret:users-sync-??????"),
        )
        .replace("FUNCTION", &format!("arn:aws:lambda:{account}:function"))
        .replace("DEAD", &format!("arn:aws:sqs:{account}:one-dead-letters"))
        .replace("KEY", &format!("{KEY}{via}"))
    };
    let of_a_function = |role: &str| !role.starts_with("ReconcileFunction");
    let lines = |(role, lines): &(&str, &[&str])| {
        let always = lines.iter().filter(|line| !line.starts_with('+'));
        let with_all = lines.iter().filter_map(|line| line.strip_prefix('+'));
        let mut all: Vec<String> = always.map(|line| named(line)).collect();
        if whole {
            all.extend(with_all.map(named));
            let function = role.trim_end_matches("Role").to_lowercase();
            let code = named(&format!("FUNCTION:one-{function}"));
            for action in INTERFACES.iter().filter(|_| of_a_function(role)) {
                all.push(format!("Allow {action} on *"));
                all.push(format!(
                    r#"Deny {action} on * if {{"ArnEquals":{{"lambda:SourceFunctionArn":"{code}"}}}}"#
                ));
            }
        }
        all.sort();
        ((*role).to_owned(), all)
    };
    let there = |(role, _): &&(&str, &[&str])| whole || *role != "ConsoleRole";
    ALLOWED.iter().filter(there).map(lines).collect()
}

#[test]
fn each_role_may_do_what_its_function_needs_and_no_more() {
    assert_rule(permissions_rule);
}

fn permissions_rule(with: With, stack: &Value) -> Vec<String> {
    let whole = with == With::Everything;
    let mut problems = Vec::new();
    let (found, expected) = (permissions(stack), expected(whole));
    if found != expected {
        problems.push(format!("{found:#?} is not {expected:#?}"));
    }
    for (name, role) in stack["roles"].as_object().expect("roles") {
        let service = match name.starts_with("ReconcileFunction") {
            true => "scheduler.amazonaws.com",
            false => "lambda.amazonaws.com",
        };
        let trusted = role["trusts"]["Statement"][0]["Principal"]["Service"].to_string();
        let alone = [format!("{service:?}"), format!("[{service:?}]")];
        if !alone.contains(&trusted) {
            problems.push(format!("{name} trusts {trusted}"));
        }
    }
    let functions = stack["functions"].as_object().expect("functions");
    assert_eq!(functions.len(), if whole { 4 } else { 3 });
    for (function, made) in functions {
        let short = function.trim_start_matches("one-");
        let role = format!("{}{}Role", short[..1].to_uppercase(), &short[1..]);
        if made["role"] != stack["roles"][&role]["arn"] {
            problems.push(format!("{function} runs as {}", made["role"]));
        }
        let vpc = &made["vpc"];
        let expected = match whole {
            true => json!({
                "SubnetIds": ["subnet-1", "subnet-2"],
                "SecurityGroupIds": ["sg-1"],
                "VpcId": vpc["VpcId"],
            }),
            false => Value::Null,
        };
        if *vpc != expected {
            problems.push(format!("{function} is in {vpc}"));
        }
    }
    problems
}

#[test]
fn a_run_that_failed_or_was_given_up_is_kept() {
    assert_rule(dead_letters_rule);
}

fn dead_letters_rule(_: With, stack: &Value) -> Vec<String> {
    let dead = "arn:aws:sqs:us-east-1:123456789012:one-dead-letters";
    let mut problems = Vec::new();
    if stack["on_failure"]["one-reconcile"] != json!([dead]) {
        problems.push(format!("failures go to {}", stack["on_failure"]));
    }
    let schedules = stack["schedules"].as_array().expect("schedules");
    assert_eq!(schedules.len(), 2);
    for schedule in schedules {
        if schedule["Target"]["DeadLetterConfig"]["Arn"] != dead {
            problems.push(format!("not kept: {schedule}"));
        }
    }
    problems
}

/// An alarm, by its name without the stack's, and figures of its periods, the latest last: those that
/// set it off, and those that don't. `None`: CloudWatch was told nothing.
type Alarm = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static [Option<f64>]],
    &'static [&'static [Option<f64>]],
);

/// The one place that writes figures of our own.
const METRICS: &str = include_str!("../../../../shared/src/metrics.rs");

const ALARMS: &[Alarm] = &[
    (
        "dead-letters",
        "AWS/SQS ApproximateNumberOfMessagesVisible one-dead-letters",
        "Maximum of 300 s",
        &[&[Some(1.0)], &[Some(0.0), Some(40.0)]],
        // The queue is not asked about when nothing happens to it.
        &[&[Some(0.0)], &[None], &[Some(1.0), Some(0.0)]],
    ),
    (
        "lag",
        "users-sync DeliveryLag one-webhook",
        "p50 of 3600 s",
        &[&[Some(60_000.0)]],
        &[&[Some(59_999.0)], &[None]],
    ),
    (
        "missed-webhooks",
        "users-sync MissedWebhooks one-reconcile",
        "Sum of 3600 s",
        &[&[Some(1.0)], &[Some(0.0), Some(25.0)]],
        &[&[Some(0.0)], &[None], &[Some(1.0), Some(0.0)]],
    ),
    (
        "no-run",
        "AWS/Lambda Invocations one-reconcile",
        "Sum of 10800 s",
        &[
            &[None, None],
            &[Some(1.0), None, None],
            &[Some(0.0), Some(0.0)],
        ],
        &[
            &[None, Some(1.0)],
            &[Some(1.0), None],
            &[Some(15.0), Some(1.0)],
        ],
    ),
    (
        "reconcile",
        "AWS/Lambda Errors one-reconcile",
        "Sum of 3600 s",
        &[&[Some(1.0)], &[Some(4.0)]],
        &[&[Some(0.0)], &[None], &[Some(1.0), Some(0.0)]],
    ),
    (
        "refused-deliveries",
        "AWS/Lambda Url4xxCount one-webhook",
        "Sum of 3600 s",
        &[&[Some(10.0)]],
        &[&[Some(9.0)], &[None]],
    ),
    (
        "rejections",
        "users-sync OpenRejections one-reconcile",
        "Maximum of 3600 s",
        &[&[Some(1.0)]],
        &[&[Some(0.0)], &[None], &[Some(1.0), Some(0.0)]],
    ),
    (
        "throttles",
        "AWS/Lambda Throttles one-webhook",
        "Sum of 900 s",
        &[&[Some(10.0)]],
        &[&[Some(1.0)], &[None]],
    ),
    (
        "webhook",
        "AWS/Lambda Url5xxCount one-webhook",
        "Sum of 900 s",
        &[&[Some(3.0)]],
        // The provider sends again what was answered 503.
        &[&[Some(2.0)], &[None]],
    ),
];

/// Whether CloudWatch would raise it.
fn fires(alarm: &Value, figures: &[Option<f64>]) -> bool {
    let periods = alarm["EvaluationPeriods"].as_u64().expect("a number") as usize;
    let threshold = alarm["Threshold"].as_f64().expect("a number");
    let latest = &figures[figures.len() - periods..];
    latest.iter().all(|figure| match figure {
        None => alarm["TreatMissingData"] == "breaching",
        Some(figure) => match text(&alarm["ComparisonOperator"]) {
            "GreaterThanOrEqualToThreshold" => *figure >= threshold,
            "LessThanThreshold" => *figure < threshold,
            other => panic!("this test does not know {other}"),
        },
    })
}

#[test]
fn each_alarm_is_set_off_by_what_it_is_for_and_by_nothing_else() {
    assert_rule(alarms_rule);
}

fn alarms_rule(_: With, stack: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for alarm in stack["alarms"].as_array().expect("alarms") {
        let name = text(&alarm["AlarmName"]).trim_start_matches("one-");
        let known = ALARMS.iter().find(|(known, ..)| *known == name);
        let Some((_, metric, how, set_off, not)) = known else {
            problems.push(format!("this test does not know what sets off {name}"));
            continue;
        };
        names.insert(name);
        let dimensions = alarm["Dimensions"].as_array().expect("dimensions");
        let found = format!(
            "{} {} {}",
            text(&alarm["Namespace"]),
            text(&alarm["MetricName"]),
            text(&dimensions[0]["Value"])
        );
        let statistic = alarm["Statistic"].as_str();
        let statistic = statistic.unwrap_or_else(|| text(&alarm["ExtendedStatistic"]));
        let found_how = format!("{statistic} of {} s", alarm["Period"]);
        if (&*found, &*found_how, dimensions.len()) != (metric, how, 1) {
            problems.push(format!("{name} watches {found}, {found_how}"));
        }
        for figures in set_off.iter().filter(|figures| !fires(alarm, figures)) {
            problems.push(format!("{name} is not set off by {figures:?}"));
        }
        for figures in not.iter().filter(|figures| fires(alarm, figures)) {
            problems.push(format!("{name} is set off by {figures:?}"));
        }
        if alarm["Namespace"] == "users-sync" {
            let metric = format!("\"{}\"", text(&alarm["MetricName"]));
            if !METRICS.contains(&metric) || !METRICS.contains("\"users-sync\"") {
                problems.push(format!("nobody writes the metric of {name}"));
            }
        }
        if text(&alarm["AlarmDescription"]).len() < 100 {
            problems.push(format!("{name} does not say what to do"));
        }
    }
    let known: BTreeSet<&str> = ALARMS.iter().map(|(name, ..)| *name).collect();
    let missing = known.difference(&names);
    problems.extend(missing.map(|name| format!("there is no alarm {name}")));
    problems
}

#[test]
fn a_dashboard_is_made_where_somebody_asks_for_it_and_shows_what_there_is() {
    assert_rule(dashboard_rule);
    let template = parse(&source());
    let body =
        text(&template["Resources"]["OverviewDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]);
    let body: Value = serde_json::from_str(body).expect("JSON");
    let widgets = body["widgets"].as_array().expect("widgets");
    let shown: Vec<&Value> = widgets
        .iter()
        .flat_map(|widget| widget["properties"]["metrics"].as_array().expect("metrics"))
        .collect();
    for metric in ["MissedWebhooks", "OpenRejections", "DeliveryLag"] {
        assert!(shown.iter().any(|line| line[1] == metric), "{metric}");
        assert!(METRICS.contains(&format!("\"{metric}\"")), "{metric}");
    }
}

fn dashboard_rule(with: With, stack: &Value) -> Vec<String> {
    let made = stack["resources"]
        .as_array()
        .expect("resources")
        .contains(&json!("OverviewDashboard"));
    match made == (with == With::Everything) {
        true => Vec::new(),
        false => vec![format!("a dashboard: {made}")],
    }
}

#[test]
fn alarms_go_to_an_address_or_a_topic_or_both_or_nobody() {
    assert_rule(actions_rule);
}

fn actions_rule(with: With, stack: &Value) -> Vec<String> {
    let own = "arn:aws:sns:us-east-1:123456789012:one-alarms";
    let expected = match with {
        With::Nothing => vec![],
        With::Mail => vec![own],
        With::Topic => vec![TOPIC],
        With::Everything => vec![own, TOPIC],
    };
    let mut problems = Vec::new();
    for alarm in stack["alarms"].as_array().expect("alarms") {
        for told in ["AlarmActions", "OKActions"] {
            if alarm[told] != json!(expected) {
                problems.push(format!("{told} of {}: {}", alarm["AlarmName"], alarm[told]));
            }
        }
    }
    let subscribed = &stack["subscriptions"];
    let by_mail = subscribed[0]["Protocol"] == "email"
        && subscribed[0]["Endpoint"] == "oncall@example.com"
        && subscribed[0]["TopicArn"] == own;
    if by_mail != expected.contains(&own) {
        problems.push(format!("subscribed: {subscribed}"));
    }
    problems
}

#[test]
fn each_parameter_is_described_validated_and_grouped_once() {
    let rule = |source: &str| {
        let template = parse(source);
        let interface = &template["Metadata"]["AWS::CloudFormation::Interface"];
        let groups = interface["ParameterGroups"].as_array().expect("groups");
        let grouped: Vec<&str> = groups
            .iter()
            .flat_map(|group| group["Parameters"].as_array().expect("a list"))
            .map(text)
            .collect();
        let mut problems = Vec::new();
        let parameters = template["Parameters"].as_object().expect("parameters");
        for (name, parameter) in parameters {
            let times = grouped.iter().filter(|one| **one == name).count();
            if times != 1 || interface["ParameterLabels"][name]["default"].is_null() {
                problems.push(format!("{name} is grouped {times} times, or has no label"));
            }
            if text(&parameter["Description"]).len() < 10 {
                problems.push(format!("{name} is not described"));
            }
            let limits = ["AllowedValues", "AllowedPattern", "MinValue"];
            if limits.iter().all(|limit| parameter[limit].is_null()) {
                problems.push(format!("{name} takes anything"));
            }
            // CloudFormation itself shows nothing but the pattern.
            if !parameter["AllowedPattern"].is_null()
                && parameter["ConstraintDescription"].is_null()
            {
                problems.push(format!("{name} doesn't say what it takes"));
            }
        }
        if grouped.len() != parameters.len() {
            problems.push("a group names what is no parameter".to_owned());
        }
        problems
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(rule, "Schema, Adopt]", "Schema]", "Adopt is grouped 0");
    assert_breaks_text(
        rule,
        "AlarmEmail, AlarmTopicArn",
        "AlarmTopicArn, AlarmTopicArn",
        "grouped 2",
    );
    assert_breaks_text(
        rule,
        "    Description: What to log\n",
        "",
        "LogLevel is not",
    );
    assert_breaks_text(
        rule,
        "    AllowedValues: [arm64, x86_64]\n",
        "",
        "Architecture takes",
    );
}

#[test]
fn the_documents_name_each_parameter_and_each_alarm() {
    let page = fs::read_to_string(workspace().join("docs/deploying.md")).expect("a page");
    let template = parse(&source());
    for name in template["Parameters"]
        .as_object()
        .expect("parameters")
        .keys()
    {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    for (alarm, ..) in ALARMS {
        assert!(page.contains(&format!("| `…-{alarm}` |")), "{alarm}");
    }
}
