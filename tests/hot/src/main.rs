//! `hot verify_and_read|read|print N` does it N times, for `tests/instructions.py` to count.

use std::hint::black_box;
use std::process::ExitCode;

use hot::Samples;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let samples = Samples::new();
    let [what, times] = arguments.as_slice() else {
        return ExitCode::FAILURE;
    };
    let work: fn(&Samples) = match what.as_str() {
        "verify_and_read" => |samples| drop(black_box(samples.verify_and_read())),
        "read" => |samples| drop(black_box(samples.read())),
        "print" => |samples| drop(black_box(samples.print())),
        _ => return ExitCode::FAILURE,
    };
    let Ok(times) = times.parse::<u32>() else {
        return ExitCode::FAILURE;
    };
    for _ in 0..times {
        work(&samples);
    }
    ExitCode::SUCCESS
}
