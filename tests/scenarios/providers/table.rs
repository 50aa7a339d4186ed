//! The table of providers (tests/src/providers): one more provider is one more row, and nothing else
//! in the tests names it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::providers::PROVIDERS;
use tests::tools::workspace;

/// Files that name a provider although they are not its own.
const NAMES: &[&str] = &[
    // Which adapter a name in the secret stands for.
    "shared/src/provider/registry.rs",
    // Stack Auth is the one that is shown and simulated unless another is asked for.
    "tests/src/bin/demo/provider.rs",
    "tests/src/bin/simulator.rs",
    "tests/scenarios/simulators/program.rs",
    // A secret as an example.
    "tests/scenarios/functions/manager.rs",
    "tests/scenarios/functions/start_up.rs",
    // Facts that hold for two of them.
    "tests/scenarios/providers/projects.rs",
    "tests/scenarios/providers/shared.rs",
    // What each calls its events, and where its webhooks are to be looked up.
    "tests/scenarios/providers/each/records.rs",
    // Each is connected in the browser, in another look.
    "tests/browser/journeys.rs",
    // The cost of a statement and of a hint, and how much the vendors' limits let through.
    "tests/hot/src/lib.rs",
    "tests/src/bin/bench/cold_start.rs",
    "tests/src/bin/bench/deliveries.rs",
    "tests/src/bin/bench/ground.rs",
    "tests/src/bin/bench/scale.rs",
    "tests/src/bin/bench/webhook.rs",
    // The vendors' own clients.
    "tests/scenarios/simulators/vendors.rs",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Whether a file or a folder on the way to it has this name.
fn is_of(path: &Path, name: &str) -> bool {
    let mut parts = path.iter().filter_map(|part| part.to_str());
    parts.any(|part| part.trim_end_matches(".rs") == name)
}

#[test]
fn one_more_provider_takes_its_adapter_its_simulator_its_fixtures_and_a_row() {
    let root = workspace();
    let mut files = Vec::new();
    for folder in ["shared/src", "functions", "tests"] {
        files.extend(sources(&root.join(folder)));
    }
    assert!(files.len() > 200, "the sources were not found");
    let mut named = BTreeSet::new();
    for file in &files {
        let path = file.strip_prefix(&root).expect("inside");
        let text = fs::read_to_string(file).expect("UTF-8");
        // The adapters' own unit tests hold them against one another.
        let lines = text
            .lines()
            .take_while(|line| !line.ends_with("mod tests {"));
        let code = lines.filter(|line| !line.trim_start().starts_with("//"));
        let code: Vec<_> = code.collect();
        for provider in PROVIDERS {
            let own = is_of(path, provider.name)
                || provider.other_name_of.is_some_and(|name| is_of(path, name));
            let quoted = format!("\"{}\"", provider.name);
            if !own && code.iter().any(|line| line.contains(&quoted)) {
                named.insert(path.display().to_string());
            }
        }
    }
    let may: BTreeSet<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let more: Vec<_> = named.difference(&may).collect();
    assert!(more.is_empty(), "these name a provider: {more:?}");
    let idle: Vec<_> = may.difference(&named).collect();
    assert!(idle.is_empty(), "these name none any more: {idle:?}");
}

#[test]
fn each_row_is_of_a_provider_of_its_own() {
    let names: BTreeSet<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
    assert_eq!(names.len(), PROVIDERS.len());
    for provider in PROVIDERS {
        assert!(provider.has(provider.key), "{}", provider.name);
        let secret = (provider.project)().secret("http://127.0.0.1:1");
        assert_eq!(secret["name"], provider.name);
        assert!(secret[provider.key].is_string(), "{}", provider.name);
    }
}
