//! Each reference names something that exists.

use serde_json::Value;

use super::{assert_breaks, assert_follows, text, walk};

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
