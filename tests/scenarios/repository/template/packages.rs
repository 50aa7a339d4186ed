//! The template and the workspace agree: on variables of the environment, and on packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tests::tools::workspace;

use super::{assert_breaks, assert_follows, files, functions, text, walk};

/// Read by the functions, and of no use in AWS.
const DEVELOPERS_ALONE: [&str; 1] = ["SECRET_FILE"];

/// Given by Lambda itself.
const LAMBDAS_OWN: [&str; 1] = ["AWS_LAMBDA_FUNCTION_NAME"];

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
    for name in DEVELOPERS_ALONE.into_iter().chain(LAMBDAS_OWN) {
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

/// The names in `variable("NAME")`, `days("NAME")`, `env::var("NAME")` and `env::var_os("NAME")`.
fn variables_read() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["shared/src", "functions"] {
        for file in files(&workspace().join(folder), "rs") {
            let source = fs::read_to_string(&file).expect("a source file");
            for call in ["variable(\"", "days(\"", "var(\"", "var_os(\""] {
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

pub(super) fn packages_of_functions() -> BTreeSet<String> {
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
