//! `provision` runs with each build of it, and before the other functions.

use serde_json::Value;

use super::{assert_breaks, assert_follows, functions, text};

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
