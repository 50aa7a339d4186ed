//! The modules of what is deployed, in one order: each imports only those that
//! stand above it. Such an order leaves no room for a circle.
//!
//! A module is a file with the folder of its name, without those of its files
//! that have a line of their own here.

use std::collections::BTreeMap;

use super::code;

/// All of them, the lowest first.
const MODULES: &[&str] = &[
    "shared/time",
    "shared/json",
    "shared/pointer",
    "shared/profile",
    "shared/exchange",
    "shared/settings",
    "shared/signature",
    "shared/listing",
    "shared/provider/refusal",
    "shared/provider/api",
    "shared/provider",
    "shared/provider/parts",
    "shared/provider/auth0",
    "shared/provider/clerk",
    "shared/provider/stack",
    "shared/provider/supabase",
    "shared/provider/workos",
    "shared/provider/registry",
    "shared/console_token",
    "shared/manage",
    "shared/projects",
    "shared/subscribe",
    "shared/secret",
    "shared/tls",
    "shared/client",
    "shared/store/planned",
    "shared/store/columns",
    "shared/store/refusal",
    "shared/store/error",
    "shared/store/schema",
    "shared/store/connect",
    "shared/store/connection",
    "shared/store/project",
    "shared/store/handle",
    "shared/store/record",
    "shared/store/binding",
    "shared/store/runs",
    "shared/store/users",
    "shared/store/rejections",
    "shared/store/deliveries",
    "shared/store/desk",
    "shared/store/privacy",
    "shared/store",
    "shared/settle",
    "shared/migrate",
    "shared/metrics",
    "shared/credentials",
    "shared/start",
    "shared",
    "reconcile/request",
    "reconcile/report",
    "reconcile/stopped",
    "reconcile/unlisted",
    "reconcile/tally",
    "reconcile/lease",
    "reconcile/run",
    "reconcile/rejections",
    "reconcile/listed",
    "reconcile/write",
    "reconcile/settling",
    "reconcile/privacy",
    "reconcile/ahead",
    "reconcile/page",
    "reconcile/fetch",
    "reconcile/walk",
    "reconcile/sweep",
    "reconcile/drain",
    "reconcile/missed",
    "reconcile/prune",
    "reconcile/lifecycle",
    "reconcile",
    "reconcile/lambda",
    "reconcile/main",
    "webhook/event",
    "webhook/app",
    "webhook/record",
    "webhook/apply",
    "webhook",
    "webhook/lambda",
    "webhook/main",
    "provision/resource",
    "provision/request",
    "provision",
    "provision/lambda",
    "provision/main",
    "console/request",
    "console/response",
    "console/fault",
    "console/session",
    "console/show",
    "console/app",
    "console/assets",
    "console/visit",
    "console/layout",
    "console/sign_in",
    "console/reading",
    "console/drive",
    "console/users",
    "console/look",
    "console/runs",
    "console/compare",
    "console/rejections",
    "console/plot",
    "console/activity",
    "console/connect",
    "console/user",
    "console/overview",
    "console/routes",
    "console",
    "console/lambda",
    "console/main",
];

/// Each file by the path that Rust knows it by, `shared/provider/parts`, with
/// its code. A crate's `lib.rs` is the crate.
fn files() -> BTreeMap<String, String> {
    let of_rust = code().into_iter().filter_map(|(path, code)| {
        let path = path.strip_suffix(".rs")?;
        let path = path.strip_prefix("functions/").unwrap_or(path);
        let path = path.replacen("/src/", "/", 1);
        let path = path.strip_suffix("/lib").unwrap_or(&path).to_owned();
        Some((path, code))
    });
    of_rust.collect()
}

/// The module that a path lies in, and where that stands in the order.
fn module(path: &str) -> Option<usize> {
    let lies_in = |module: &str| {
        let rest = path.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let modules = MODULES.iter().enumerate();
    let found = modules.filter(|(_, module)| lies_in(module));
    found
        .max_by_key(|(_, module)| module.len())
        .map(|(place, _)| place)
}

/// The paths that code names after `prefix`, such as `crate::`, with slashes; their
/// last parts may be types and functions.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |at: usize| !code[..at].ends_with(|c: char| is_name(c) || c == ':');
    let starts = code.match_indices(prefix).filter(|(at, _)| whole(*at));
    starts
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            let end = rest.find(|c: char| !is_name(c) && c != ':');
            let (path, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let path = path.replace("::", "/");
            let braced = rest
                .strip_prefix('{')
                .filter(|_| path.is_empty() || path.ends_with('/'));
            match braced {
                Some(group) => items(group).map(|item| format!("{path}{item}")).collect(),
                None => vec![path],
            }
        })
        .collect()
}

/// The first names of the items of a `use` group, whose `{` was read.
fn items(group: &str) -> impl Iterator<Item = String> {
    let mut depth = 0;
    let mut items = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            c if depth == 0 && !c.is_whitespace() => items.last_mut().expect("one").push(c),
            _ => {}
        }
    }
    let plain = |item: String| item.replace("::", "/").replace("self", "");
    items.into_iter().map(plain).filter(|item| !item.is_empty())
}

/// The files that a file imports from, those of its own folder included.
fn imports(files: &BTreeMap<String, String>, path: &str, code: &str) -> Vec<String> {
    let root = path.split('/').next().expect("a crate");
    let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
    let mut named = Vec::new();
    for (prefix, base) in [
        ("crate::", root),
        ("shared::", "shared"),
        ("webhook::", "webhook"),
        ("reconcile::", "reconcile"),
        ("provision::", "provision"),
        ("console::", "console"),
        ("super::", parent),
        ("self::", path),
    ] {
        let names = named_after(code, prefix);
        named.extend(names.iter().map(|name| format!("{base}/{name}")));
    }
    let folder = format!("{path}/");
    let children = files.keys().filter_map(|file| file.strip_prefix(&folder));
    for child in children.filter(|child| !child.contains('/')) {
        if !named_after(code, &format!("{child}::")).is_empty() {
            named.push(format!("{path}/{child}"));
        }
    }
    named.iter().filter_map(|name| file(files, name)).collect()
}

/// The file that holds what a path names: the path less what is no file.
fn file(files: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let mut name = name.trim_end_matches('/');
    loop {
        if files.contains_key(name) {
            return Some(name.to_owned());
        }
        name = name.rsplit_once('/')?.0;
    }
}

#[test]
fn each_module_imports_only_those_above_it() {
    let files = files();
    let mut checked = 0;
    for (path, code) in &files {
        let place = module(path).unwrap_or_else(|| panic!("{path} is not listed"));
        for imported in imports(&files, path, code) {
            let above = module(&imported).unwrap_or_else(|| panic!("{imported} is not listed"));
            checked += 1;
            assert!(
                above <= place,
                "{path} imports {imported}, which stands below it"
            );
        }
    }
    assert!(checked > 200, "{checked} imports were found");
}

#[test]
fn each_file_at_the_top_of_a_crate_is_a_module_that_is_listed() {
    for path in files().keys() {
        let parts = path.split('/').count();
        let listed = MODULES.contains(&path.as_str());
        assert!(parts != 2 || listed, "{path} is not listed");
    }
}

#[test]
fn each_listed_module_exists_once() {
    let files = files();
    for (place, module) in MODULES.iter().enumerate() {
        assert!(files.contains_key(*module), "{module} is gone");
        assert!(!MODULES[..place].contains(module), "{module} twice");
    }
}

#[test]
fn imports_are_read_in_each_of_their_forms() {
    let names = ["a", "a/b", "a/b/c", "a/b/d", "a/e", "shared", "shared/time"];
    let files = names.map(|name| (name.to_owned(), String::new())).into();
    let check = |path: &str, code: &str, expected: &[&str]| {
        let mut found = imports(&files, path, code);
        found.sort();
        found.dedup();
        assert_eq!(found, expected, "{code}");
    };
    check("a/e", "use crate::b::c::Thing;", &["a/b/c"]);
    check("a/e", "use crate::{b::Thing, Other};", &["a", "a/b"]);
    check("a/e", "use super::{Thing, b};", &["a", "a/b"]);
    check("a/b/c", "use super::d::{self, Thing};", &["a/b/d"]);
    check(
        "a/b/c",
        "use shared::time::{\n    At,\n    WallClock,\n};",
        &["shared/time"],
    );
    check("a/b", "mod c;\npub use c::Thing;", &["a/b/c"]);
    check("a/b", "mod c;", &[]);
    check("a/e", "fn f() -> crate::b::d::Thing {}", &["a/b/d"]);
    check("a/e", "use std::time::Duration; other_crate::b::f()", &[]);
}
