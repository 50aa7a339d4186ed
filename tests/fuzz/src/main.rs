//! The targets under libFuzzer; which one, `FUZZ_TARGET` says, or `list`.

#![no_main]

use std::sync::OnceLock;

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

/// Finds the target, and writes its seeds to where `FUZZ_SEEDS` says.
fn begin() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(i32::from(name != "list"));
    };
    if let Ok(folder) = std::env::var("FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(format!("{folder}/seed-{number}"), seed).expect("write a seed");
        }
    }
    *target
}

fuzz_target!(
    init: {
        TARGET.get_or_init(begin);
    },
    |bytes: &[u8]| {
        let target = TARGET.get_or_init(begin);
        (target.run)(bytes);
    }
);
