//! Mistakes in `template.yaml` that cfn-lint does not see, and those that it cannot see, since it does
//! not know the workspace.
//!
//! Each rule takes the template and returns what it finds wrong. It is tested twice: the template
//! follows it, and a template that was broken on purpose does not.

mod created;
mod translated;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser, Tag};
use serde_json::{Map, Value, json};
use tests::tools::workspace;

/// Read by the functions, and of no use in AWS.
const DEVELOPERS_ALONE: [&str; 1] = ["SECRET_FILE"];

#[test]
fn every_reference_names_something_that_exists() {
    assert_follows(references);
    assert_breaks(references, "!Ref SecretName", "!Ref Secret", "Secret");
    assert_breaks(
        references,
        "!Ref ProvisionFunction.Version",
        "!Ref WebhookFunction.Version",
        ".Version",
    );
    assert_breaks(
        references,
        "!GetAtt WebhookRole.Arn",
        "!GetAtt WebhookRole.ARN",
        "WebhookRole.ARN",
    );
    assert_breaks(
        references,
        "WebhookFunctionUrl.FunctionUrl",
        "WebhookUrl.FunctionUrl",
        "WebhookUrl",
    );
    assert_breaks(
        references,
        "secret:${SecretName}",
        "secret:${Secret}",
        "Secret",
    );
    assert_breaks(
        references,
        "!If [HasAlarmEmail",
        "!If [HasEmail",
        "HasEmail",
    );
    assert_breaks(
        references,
        "DependsOn: Provision",
        "DependsOn: Provisioned",
        "Provisioned",
    );
}

#[test]
fn every_schedule_is_one_that_aws_takes() {
    assert_follows(schedules);
    assert_breaks(
        schedules,
        "rate(15 minutes)",
        "rate(15 minute)",
        "rate(15 minute)",
    );
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

#[test]
fn the_environment_is_what_the_code_reads() {
    assert_follows(environment);
    assert_breaks(environment, "        SCHEMA: !Ref Schema\n", "", "SCHEMA");
    assert_breaks(
        environment,
        "        SECRET_ID:",
        "        SECRET_NAME:",
        "SECRET_NAME",
    );
}

#[test]
fn each_function_is_a_package_and_each_package_a_function() {
    assert_follows(packages);
    assert_breaks(packages, "Binary: webhook", "Binary: webhooks", "webhook");
    assert_breaks(
        packages,
        "BuildMethod: rust-cargolambda",
        "BuildMethod: makefile",
        "makefile",
    );
    assert_breaks(
        packages,
        "Architectures: [!Ref Architecture]",
        "Architectures: [x86_64]",
        "x86_64",
    );
}

#[test]
fn no_permission_is_for_everything() {
    assert_follows(permissions);
    assert_breaks(
        permissions,
        "secretsmanager:GetSecretValue",
        "secretsmanager:*",
        "secretsmanager:*",
    );
    assert_breaks(
        permissions,
        "Resource: !GetAtt WebhookLogs.Arn",
        "Resource: \"*\"",
        "\"*\"",
    );
    assert_breaks(permissions, "ec2:AssignPrivate", "ec2:*Private", "ec2:*");
    assert_breaks(permissions, "${SecretName}-??????", "*", "secret:*");
    assert_breaks(
        permissions,
        "      Role: !GetAtt WebhookRole.Arn\n",
        "",
        "Role",
    );
    assert_breaks(
        permissions,
        "      Timeout: 15\n",
        "      Timeout: 15\n      Policies: AdministratorAccess\n",
        "Policies",
    );
}

#[test]
fn provision_runs_with_each_build_of_it_and_before_the_others() {
    assert_follows(provision);
    assert_breaks(
        provision,
        "      Version: !Ref ProvisionFunction.Version\n",
        "",
        "Version",
    );
    assert_breaks(provision, "    DependsOn: Provision\n", "", "DependsOn");
    assert_breaks(
        provision,
        "!GetAtt ProvisionFunction.Arn",
        "!GetAtt WebhookFunction.Arn",
        "ServiceToken",
    );
    assert_breaks(
        provision,
        "ServiceTimeout: \"300\"",
        "ServiceTimeout: \"60\"",
        "ServiceTimeout",
    );
}

#[test]
fn each_signed_body_has_the_bytes_that_were_signed() {
    use sha2::{Digest, Sha256};
    let vectors = read_json(&workspace().join("events/vectors.json"));
    let vectors = vectors["vectors"].as_array().expect("a list of vectors");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let name = vector[0].as_str().expect("a name");
        let body = fs::read(workspace().join(format!("events/{name}.json"))).expect(name);
        let digest: String = Sha256::digest(&body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(vector[1], body.len(), "{name}: length");
        assert_eq!(vector[2], digest[..16], "{name}: SHA-256");
    }
}

#[test]
fn each_lambda_event_is_one_that_its_function_takes() {
    let folder = workspace().join("events/lambda");
    let mut invoked = BTreeSet::new();
    for file in files(&folder, "json") {
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let (function, event) = (name.split('.').next().unwrap_or_default(), read_json(&file));
        invoked.insert(function.to_owned());
        let keys: Vec<&str> = event
            .as_object()
            .expect(&name)
            .keys()
            .map(String::as_str)
            .collect();
        match function {
            "webhook" => {
                // Payload format 2.0 has it in one place, all others in the other.
                let method = match event["version"] == "2.0" {
                    true => &event["requestContext"]["http"]["method"],
                    false => &event["httpMethod"],
                };
                assert!(method.is_string(), "{name}");
                assert!(event["requestContext"].is_object(), "{name}");
            }
            "reconcile" if name.contains("scheduled") => {
                assert_eq!(event["detail-type"], "Scheduled Event")
            }
            "reconcile" => assert!(
                keys.iter()
                    .all(|key| ["dry_run", "max_deletes"].contains(key)),
                "{name}"
            ),
            "provision" if keys.is_empty() => {}
            "provision" => {
                for key in [
                    "RequestType",
                    "ResponseURL",
                    "StackId",
                    "RequestId",
                    "LogicalResourceId",
                ] {
                    assert!(event[key].is_string(), "{name}: {key}");
                }
            }
            _ => panic!("{name} is for none of the functions"),
        }
    }
    assert_eq!(
        invoked,
        packages_of_functions(),
        "each function has an event to try"
    );
}

#[test]
fn the_lambda_events_of_a_delivery_carry_the_providers_bytes() {
    for kind in ["created", "updated", "deleted"] {
        let sent = read_json(&workspace().join(format!("events/stack/webhook_user_{kind}.json")));
        let event = read_json(&workspace().join(format!("events/lambda/webhook.user.{kind}.json")));
        assert_eq!(event["body"], sent["body"], "{kind}");
        for (name, value) in sent["headers"].as_object().expect("headers") {
            assert_eq!(&event["headers"][name], value, "{kind}: {name}");
        }
    }
}

// The rules.

fn references(template: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let known = |name: &str| {
        !template["Parameters"][name].is_null() || !template["Resources"][name].is_null()
    };
    let check_ref = |name: &str| {
        let generated = name.split_once('.').is_some_and(|(function, what)| {
            ["Version", "Alias"].contains(&what)
                && !template["Resources"][function]["Properties"]["AutoPublishAlias"].is_null()
        });
        known(name) || generated || PSEUDO_PARAMETERS.contains(&name)
    };
    let check_condition = |name: &str| !template["Conditions"][name].is_null();
    walk(template, &mut |key, value| match key {
        "Ref" if !check_ref(text(value)) => problems.push(format!("nothing is called {value}")),
        "Fn::GetAtt" => {
            let path = value.as_str().map_or_else(
                || {
                    value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(text)
                        .collect::<Vec<_>>()
                        .join(".")
                },
                str::to_owned,
            );
            problems.extend(attribute_problem(template, &path));
        }
        "Fn::Sub" => {
            let own = value.get(1).and_then(Value::as_object);
            let pattern = value
                .as_str()
                .or_else(|| value.get(0)?.as_str())
                .unwrap_or_default();
            for name in pattern
                .split("${")
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
            {
                if name.starts_with('!')
                    || own.is_some_and(|own| own.contains_key(name))
                    || check_ref(name)
                {
                    continue;
                }
                match name.contains('.') && !name.contains("::") {
                    true => problems.extend(attribute_problem(template, name)),
                    false => problems.push(format!("nothing is called {name}")),
                }
            }
        }
        "Fn::If" if !check_condition(text(&value[0])) => {
            problems.push(format!("no condition {}", value[0]))
        }
        "Condition" if value.is_string() && !check_condition(text(value)) => {
            problems.push(format!("no condition {value}"));
        }
        "DependsOn" => {
            let names = value
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![value.clone()]);
            for name in names
                .iter()
                .filter(|name| template["Resources"][text(name)].is_null())
            {
                problems.push(format!("no resource {name}"));
            }
        }
        _ => {}
    });
    problems
}

const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// The return values that CloudFormation's reference lists, for the types in use.
fn attribute_problem(template: &Value, path: &str) -> Option<String> {
    let (name, attribute) = path.split_once('.')?;
    let resource = |name: &str| &template["Resources"][name];
    let url_of = name.strip_suffix("Url").map(resource);
    let has_url =
        url_of.is_some_and(|function| !function["Properties"]["FunctionUrlConfig"].is_null());
    let attributes: &[&str] = match text(&resource(name)["Type"]) {
        "" if has_url => &["FunctionUrl", "FunctionArn"],
        "" => return Some(format!("nothing is called {name}")),
        "AWS::Serverless::Function" | "AWS::Logs::LogGroup" | "AWS::CloudWatch::Alarm" => &["Arn"],
        "AWS::IAM::Role" => &["Arn", "RoleId"],
        "AWS::SQS::Queue" => &["Arn", "QueueName", "QueueUrl"],
        other => return Some(format!("this test does not know the attributes of {other}")),
    };
    (!attributes.contains(&attribute)).then(|| format!("no attribute {path}"))
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

fn environment(template: &Value) -> Vec<String> {
    let mut given = BTreeSet::new();
    walk(template, &mut |key, value| {
        if key == "Variables" {
            given.extend(
                value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone()),
            );
        }
    });
    let mut read = variables_read();
    for name in DEVELOPERS_ALONE {
        assert!(read.remove(name), "no function reads {name}");
    }
    let unread = given
        .difference(&read)
        .map(|name| format!("no function reads {name}"));
    let missing = read
        .difference(&given)
        .map(|name| format!("{name} is read and not given"));
    unread.chain(missing).collect()
}

/// The names in `variable("NAME")`, `env::var("NAME")` and `env::var_os("NAME")`.
fn variables_read() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["shared/src", "functions"] {
        for file in files(&workspace().join(folder), "rs") {
            let source = fs::read_to_string(&file).expect("a source file");
            for call in ["variable(\"", "var(\"", "var_os(\""] {
                let calls = source.split(call).skip(1);
                names.extend(
                    calls
                        .filter_map(|rest| rest.split('"').next())
                        .map(str::to_owned),
                );
            }
        }
    }
    names
}

fn packages(template: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut built = BTreeSet::new();
    for (name, function) in functions(template) {
        let metadata = &function["Metadata"];
        built.insert(text(&metadata["BuildProperties"]["Binary"]).to_owned());
        if metadata["BuildMethod"] != "rust-cargolambda" {
            problems.push(format!("{name} is built with {}", metadata["BuildMethod"]));
        }
        for (property, wanted) in [
            ("Architectures", json!([{"Ref": "Architecture"}])),
            ("Runtime", json!("provided.al2023")),
            ("Handler", json!("bootstrap")),
            ("CodeUri", json!(".")),
        ] {
            let own = function["Properties"].get(property);
            let value = own.unwrap_or(&template["Globals"]["Function"][property]);
            if *value != wanted {
                problems.push(format!("{name}: {property} is {value}"));
            }
        }
    }
    let packages = packages_of_functions();
    problems.extend(
        built
            .symmetric_difference(&packages)
            .map(|name| format!("{name} has no counterpart")),
    );
    problems
}

fn packages_of_functions() -> BTreeSet<String> {
    let manifests = files(&workspace().join("functions"), "toml");
    let name = |manifest: &PathBuf| {
        let text = fs::read_to_string(manifest).expect("a manifest");
        let line = text
            .lines()
            .find(|line| line.starts_with("name = "))
            .expect("a package's name");
        line.split('"').nth(1).expect("a name in quotes").to_owned()
    };
    manifests.iter().map(name).collect()
}

fn permissions(template: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, function) in functions(template) {
        // Without a role, SAM makes one that may write to every log of the account.
        if function["Properties"]["Role"].is_null() {
            problems.push(format!("{name} has no Role"));
        }
    }
    walk(template, &mut |key, value| {
        if [
            "ManagedPolicyArns",
            "NotAction",
            "NotResource",
            "NotPrincipal",
        ]
        .contains(&key)
            || key == "Policies" && !value.is_array()
        {
            problems.push(format!("{key}: {value}"));
        }
        if ["Action", "Principal"].contains(&key) && value.to_string().contains('*') {
            problems.push(format!("{key}: {value}"));
        }
        if key == "Statement" {
            let statements = value.as_array().into_iter().flatten();
            let too_wide = statements.filter(|statement| {
                let resource = &statement["Resource"];
                resource.to_string().contains('*') && !can_name_nothing(&statement["Action"])
            });
            problems.extend(too_wide.map(|statement| format!("Resource: {statement}")));
        }
    });
    problems
}

/// Whether AWS lets nothing be named for these actions: Lambda makes a VPC's interfaces before there
/// are any. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html>
fn can_name_nothing(actions: &Value) -> bool {
    let actions = actions.as_array().map(Vec::as_slice).unwrap_or_default();
    let interfaces = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ];
    !actions.is_empty() && actions.iter().all(|one| interfaces.contains(&text(one)))
}

fn provision(template: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let run = &template["Resources"]["Provision"]["Properties"];
    let function = &template["Resources"]["ProvisionFunction"]["Properties"];
    let number = |value: &Value| text(value).parse().unwrap_or(0);
    check(
        run["ServiceToken"]["Fn::GetAtt"] == "ProvisionFunction.Arn",
        "ServiceToken is not the function",
    );
    check(
        run["Version"]["Ref"] == "ProvisionFunction.Version",
        "Version does not change with the build",
    );
    // CloudFormation waits for an hour if it is not told.
    check(
        (number(&function["Timeout"])..=900).contains(&number(&run["ServiceTimeout"]))
            && number(&function["Timeout"]) > 0,
        "ServiceTimeout is shorter than the function's Timeout, or too long to wait for",
    );
    for (name, function) in functions(template) {
        let depends = function["DependsOn"] == "Provision" || name == "ProvisionFunction";
        check(depends, &format!("{name} has no DependsOn: Provision"));
    }
    problems
}

// Reading the template.

fn assert_follows(rule: fn(&Value) -> Vec<String>) {
    assert_eq!(rule(&parse(&source())), Vec::<String>::new());
}

fn assert_breaks(rule: fn(&Value) -> Vec<String>, from: &str, to: &str, expected: &str) {
    assert_breaks_text(|source| rule(&parse(source)), from, to, expected);
}

/// As [`assert_breaks`], for a rule that takes the template's text.
fn assert_breaks_text(rule: impl Fn(&str) -> Vec<String>, from: &str, to: &str, expected: &str) {
    let source = source();
    assert!(
        source.contains(from),
        "the template has no {from:?} to break"
    );
    let problems = rule(&source.replacen(from, to, 1));
    assert!(
        problems.iter().any(|problem| problem.contains(expected)),
        "{from:?} became {to:?}, and the rule says {problems:?}"
    );
}

fn source() -> String {
    fs::read_to_string(workspace().join("template.yaml")).expect("template.yaml")
}

fn functions(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let resources = template["Resources"].as_object().expect("resources");
    resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
}

/// Visits each key of each mapping, however deep, with its value.
fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str, &'a Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            visit(key, value);
            walk(value, visit);
        }),
        Value::Array(list) => list.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// YAML as JSON, with each scalar as a string and `!GetAtt x` as `{"Fn::GetAtt": "x"}`.
fn parse(source: &str) -> Value {
    let mut parser = Parser::new_from_str(source);
    let mut next = || {
        parser
            .next()
            .expect("more of the template")
            .expect("YAML")
            .0
    };
    assert_eq!(next(), Event::StreamStart);
    assert!(matches!(next(), Event::DocumentStart(_)));
    let first = next();
    let document = node(first, &mut next);
    assert_eq!(next(), Event::DocumentEnd);
    assert_eq!(next(), Event::StreamEnd);
    document
}

fn node<'a>(event: Event<'a>, next: &mut impl FnMut() -> Event<'a>) -> Value {
    match event {
        Event::Scalar(text, _, _, tag) => tagged(tag.as_deref(), text.into_owned().into()),
        Event::SequenceStart(_, tag) => {
            let mut list = Vec::new();
            loop {
                match next() {
                    Event::SequenceEnd => return tagged(tag.as_deref(), list.into()),
                    event => list.push(node(event, next)),
                }
            }
        }
        Event::MappingStart(_, tag) => {
            let mut map = Map::new();
            loop {
                let key = match next() {
                    Event::MappingEnd => return tagged(tag.as_deref(), map.into()),
                    Event::Scalar(key, ..) => key.into_owned(),
                    event => panic!("a key is {event:?}"),
                };
                let first = next();
                let value = node(first, next);
                assert!(
                    map.insert(key.clone(), value).is_none(),
                    "{key} stands twice"
                );
            }
        }
        event => panic!("CloudFormation takes no {event:?}"),
    }
}

fn tagged(tag: Option<&Tag>, value: Value) -> Value {
    match tag.map(|tag| tag.suffix.as_str()) {
        None => value,
        Some(name @ ("Ref" | "Condition")) => json!({ name: value }),
        Some(name) => json!({ format!("Fn::{name}"): value }),
    }
}

/// The files with this extension in the folder, however deep.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found
}

fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
