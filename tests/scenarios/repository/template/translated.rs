//! `template.yaml` as CloudFormation sees it: it is translated by AWS' own translator, for two
//! stacks, for changed parameters and for a new build.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::tools::{python_program, workspace};

use super::{assert_breaks_text, source, text, walk};

/// Where a type of resource has a name that is unique in an account and region; none where the name
/// is within another resource, or CloudFormation always makes one up.
const NAMES: &[(&str, Option<&str>)] = &[
    ("AWS::CloudWatch::Alarm", Some("AlarmName")),
    ("AWS::CloudWatch::Dashboard", Some("DashboardName")),
    ("AWS::IAM::Role", Some("RoleName")),
    ("AWS::Lambda::Alias", None),
    ("AWS::Lambda::EventInvokeConfig", None),
    ("AWS::Lambda::Function", Some("FunctionName")),
    ("AWS::Lambda::Permission", None),
    ("AWS::Lambda::Url", None),
    ("AWS::Lambda::Version", None),
    ("AWS::Logs::LogGroup", Some("LogGroupName")),
    ("AWS::SNS::Topic", Some("TopicName")),
    ("AWS::SQS::Queue", Some("QueueName")),
    ("AWS::Scheduler::Schedule", Some("Name")),
    ("Custom::Provision", None),
];

#[test]
fn two_stacks_in_one_account_have_no_name_in_common() {
    let rule = |source: &str| {
        let template = translated(source, &[json!({})]).remove(0);
        let mut problems = Vec::new();
        for (id, resource) in resources(&template) {
            let kind = text(&resource["Type"]);
            let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == kind) else {
                problems.push(format!("this test does not know how {kind} is named"));
                continue;
            };
            let Some(name) = name.and_then(|name| resource["Properties"].get(name)) else {
                continue;
            };
            let named = |stack| evaluated(name, &json!({}), stack);
            if named("one") == named("two") {
                problems.push(format!("{id} is called {name} in every stack"));
            }
        }
        problems
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(
        rule,
        "            OmitName: true\n",
        "",
        "ReconcileFunctionSchedule",
    );
    assert_breaks_text(
        rule,
        "FunctionName: !Sub ${AWS::StackName}-provision",
        "FunctionName: users-sync-provision",
        "ProvisionFunction is called",
    );
}

#[test]
fn a_changed_schema_or_secret_is_provisioned_by_a_function_that_knows_it() {
    let rule = |source: &str| {
        let mut problems = Vec::new();
        for parameter in ["Schema", "SecretName"] {
            let changed = json!({ parameter: "another" });
            let asked = [json!({}), changed.clone()];
            let [before, after] = &translated(source, &asked)[..] else {
                unreachable!("two were asked for");
            };
            if run(before, &json!({})) == run(after, &changed) {
                problems.push(format!("{parameter} does not have Provision run again"));
            }
            let environment = |template, parameters| {
                let function = &resource(template, "ProvisionFunction")["Properties"];
                evaluated(&function["Environment"], parameters, "one")
            };
            if environment(before, &json!({})) == environment(after, &changed) {
                problems.push(format!("{parameter} is not in the environment"));
            }
            // An alias keeps the environment of its version.
            let invoked = |template| invoked(template);
            if !is_latest(&invoked(after)) && invoked(before) == invoked(after) {
                problems.push(format!("{parameter} is not what Provision runs with"));
            }
        }
        problems
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(
        rule,
        "ServiceToken: !GetAtt ProvisionFunction.Arn",
        "ServiceToken: !Ref ProvisionFunction.Alias",
        "Schema is not what",
    );
    for (line, words) in [
        ("      Schema: !Ref Schema\n", "Schema does not"),
        ("      Secret: !Ref SecretName\n", "SecretName does not"),
        ("        SCHEMA: !Ref Schema\n", "Schema is not in"),
    ] {
        assert_breaks_text(rule, line, "", words);
    }
}

#[test]
fn adopt_reaches_the_function_and_has_it_run_again() {
    let rule = |source: &str| {
        let template = translated(source, &[json!({})]).remove(0);
        let adopt = |parameters| run(&template, &parameters)["Adopt"].clone();
        let given = [adopt(json!({})), adopt(json!({"Adopt": "true"}))];
        match given == ["false", "true"] {
            true => Vec::new(),
            false => vec![format!("Provision is given {given:?}")],
        }
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(rule, "      Adopt: !Ref Adopt\n", "", "Null");
    assert_breaks_text(
        rule,
        "Default: \"false\"",
        "Default: \"true\"",
        "[String(\"true\"), String(\"true\")]",
    );
}

#[test]
fn a_new_build_is_provisioned_and_the_same_build_is_not() {
    let rule = |source: &str| {
        let with = |code: &str| {
            let template = translate(source, &[(json!({}), code)]).remove(0);
            run(&template, &json!({}))
        };
        let mut problems = Vec::new();
        if with("s3://bucket/one") == with("s3://bucket/two") {
            problems.push("a new build does not have Provision run again".to_owned());
        }
        if with("s3://bucket/one") != with("s3://bucket/one") {
            problems.push("Provision runs with every deployment".to_owned());
        }
        problems
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(
        rule,
        "      Version: !Ref ProvisionFunction.Version\n",
        "",
        "a new build",
    );
}

#[test]
fn lambda_does_not_repeat_what_cloudformation_was_told_of() {
    let rule = |source: &str| {
        let template = translated(source, &[json!({})]).remove(0);
        let qualifier = match is_latest(&invoked(&template)) {
            true => "$LATEST",
            false => "live",
        };
        let once = resources(&template).find(|(_, resource)| {
            let properties = &resource["Properties"];
            resource["Type"] == "AWS::Lambda::EventInvokeConfig"
                && properties["FunctionName"] == json!({"Ref": "ProvisionFunction"})
                && properties["Qualifier"] == qualifier
                && properties["MaximumRetryAttempts"] == 0
        });
        match once {
            None => vec![format!("an invocation of {qualifier} is tried again")],
            Some((id, _)) if resource(&template, "Provision")["DependsOn"] != *id => {
                vec![format!("Provision does not wait for {id}")]
            }
            Some(_) => Vec::new(),
        }
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(rule, "Qualifier: $LATEST", "Qualifier: live", "tried again");
    assert_breaks_text(
        rule,
        "    DependsOn: ProvisionInvocations\n",
        "",
        "does not wait",
    );
}

#[test]
fn every_reference_in_the_translation_names_something_in_it() {
    let rule = |source: &str| {
        let template = translated(source, &[json!({})]).remove(0);
        let known = |name: &str| {
            name.starts_with("AWS::")
                || !template["Resources"][name].is_null()
                || !template["Parameters"][name].is_null()
        };
        let mut problems = Vec::new();
        walk(&template, &mut |key, value| {
            let named = match key {
                "Ref" => text(value),
                "Fn::GetAtt" => text(&value[0]),
                "DependsOn" if value.is_string() => text(value),
                _ => return,
            };
            if !known(named) {
                problems.push(format!("nothing is called {named}"));
            }
        });
        problems
    };
    assert_eq!(rule(&source()), Vec::<String>::new());
    assert_breaks_text(
        rule,
        "FunctionName: !Ref ProvisionFunction\n",
        "FunctionName: !Ref ProvisionFunctionVersion\n",
        "ProvisionFunctionVersion",
    );
}

/// The function that `Provision` runs: as it is, or the version that an alias stands for.
fn invoked(template: &Value) -> Value {
    let token = &resource(template, "Provision")["Properties"]["ServiceToken"];
    let alias = resource(template, text(&token["Ref"]));
    match alias["Type"] == "AWS::Lambda::Alias" {
        true => alias["Properties"]["FunctionVersion"].clone(),
        false => token.clone(),
    }
}

fn is_latest(invoked: &Value) -> bool {
    *invoked == json!({"Fn::GetAtt": ["ProvisionFunction", "Arn"]})
}

/// CloudFormation runs `Provision` again when one of these changes.
fn run(template: &Value, parameters: &Value) -> Value {
    let properties = &resource(template, "Provision")["Properties"];
    let mut given = parameters.clone();
    for (name, parameter) in template["Parameters"].as_object().into_iter().flatten() {
        if given[name].is_null() {
            given[name] = parameter["Default"].clone();
        }
    }
    evaluated(properties, &given, "one")
}

fn resource<'a>(template: &'a Value, id: &str) -> &'a Value {
    &template["Resources"][id]
}

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    template["Resources"].as_object().into_iter().flatten()
}

/// The value in this stack, as far as parameters and the stack's name go.
fn evaluated(value: &Value, parameters: &Value, stack: &str) -> Value {
    let known = |name: &str| match name {
        "AWS::StackName" => Some(stack.to_owned()),
        name => parameters[name].as_str().map(str::to_owned),
    };
    match value {
        Value::Object(map) => {
            if let Some(known) = map.get("Ref").and_then(Value::as_str).and_then(known) {
                return known.into();
            }
            if let Some(pattern) = map.get("Fn::Sub").and_then(Value::as_str) {
                return pattern.replace("${AWS::StackName}", stack).into();
            }
            let values = map.iter();
            values
                .map(|(key, value)| (key.clone(), evaluated(value, parameters, stack)))
                .collect()
        }
        Value::Array(list) => list
            .iter()
            .map(|value| evaluated(value, parameters, stack))
            .collect(),
        other => other.clone(),
    }
}

/// The template for each of these parameters.
pub(super) fn translated(source: &str, parameters: &[Value]) -> Vec<Value> {
    let code = "s3://bucket/code";
    let asked: Vec<_> = parameters.iter().map(|own| (own.clone(), code)).collect();
    translate(source, &asked)
}

fn translate(source: &str, asked: &[(Value, &str)]) -> Vec<Value> {
    let translations: Vec<Value> = asked
        .iter()
        .map(|(parameters, code)| json!({"parameters": parameters, "code": code}))
        .collect();
    python(
        "translate.py",
        &json!({"template": source, "translations": translations}),
    )
}

/// Runs one of the programs beside this file, and gives its answer.
pub(super) fn python(program: &str, asked: &Value) -> Vec<Value> {
    let mut python = Command::new(python_program("python").expect("Python"))
        // Nothing is to be left beside the sources.
        .arg("-B")
        .arg(
            workspace()
                .join("tests/scenarios/repository/template")
                .join(program),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start Python");
    let mut input = python.stdin.take().expect("a pipe");
    input.write_all(asked.to_string().as_bytes()).expect("ask");
    drop(input);
    let answer = python.wait_with_output().expect("an answer");
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "run `make setup`, if not: {said}");
    serde_json::from_slice(&answer.stdout).expect("answers")
}
