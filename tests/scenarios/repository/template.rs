//! Mistakes in `template.yaml` that cfn-lint does not see, and those that it cannot see, since it does
//! not know the workspace.
//!
//! Each rule takes the template and returns what it finds wrong. It is tested twice: the template
//! follows it, and a template that was broken on purpose does not.

mod created;
mod events;
mod packages;
mod permissions;
mod provisioning;
mod references;
mod schedules;
mod translated;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::tools::workspace;

use self::yaml::parse;

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
