//! No permission is for everything.

use serde_json::Value;

use super::{assert_breaks, assert_follows, functions, text, walk};

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
