//! The build script of each function: has it linked without tables that nothing reads once it is deployed.

#![expect(clippy::print_stdout, reason = "cargo reads it")]

use std::path::PathBuf;

fn main() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cargo/functions.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    // The profile whose panics abort. A test has to unwind.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
