//! Starts `console`.

mod lambda;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::exit(lambda::serve().await)
}
