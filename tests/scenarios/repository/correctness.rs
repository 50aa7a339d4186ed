//! docs/correctness.md and ARCHITECTURE.md name tests: each of them exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::tools::workspace;

/// The names of all tests below a folder.
fn tests_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            tests_in(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).expect("a source");
            let mut lines = code.lines();
            while let Some(line) = lines.next() {
                let attribute = line.trim();
                if attribute == "for_each_provider! {" {
                    // A fact of each provider, whose tests the macro makes.
                    let facts = lines.by_ref().take_while(|line| *line != "}");
                    names.extend(facts.map(|line| line.trim().to_owned()));
                    continue;
                }
                if attribute != "#[test]" && !attribute.starts_with("#[tokio::test") {
                    continue;
                }
                let head = lines.by_ref().find_map(|line| line.split_once("fn "));
                let name = head.and_then(|(_, rest)| rest.split_once('('));
                names.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
}

/// The words between backticks that read like a test's name.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let like_a_test = |name: &&str| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.chars().all(letters) && name.matches('_').count() > 2
    };
    quoted.filter(like_a_test).collect()
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let mut tests = BTreeSet::new();
    for folder in ["tests", "shared/src", "functions"] {
        tests_in(&workspace().join(folder), &mut tests);
    }
    let page = fs::read_to_string(workspace().join("docs/correctness.md")).expect("the page");
    let architecture = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page");
    for name in named(&page).into_iter().chain(named(&architecture)) {
        assert!(tests.contains(name), "no test is called {name}");
    }
    let (_, invariants) = architecture.split_once("## Invariants").expect("a section");
    let (invariants, _) = invariants.split_once("\n## ").expect("its end");
    for invariant in invariants
        .split("\n")
        .collect::<Vec<_>>()
        .join(" ")
        .split(". **")
        .skip(1)
    {
        assert!(
            !named(invariant).is_empty(),
            "no test is named: {invariant}"
        );
    }
    let (_, known) = page.split_once("## Known failures").expect("the table");
    let rows: Vec<_> = known
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    // The header, and the failures that are known.
    assert!(rows.len() > 11, "{}", rows.len());
    for row in &rows[1..] {
        assert!(!named(row).is_empty(), "no test is named: {row}");
    }
}
