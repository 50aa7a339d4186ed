//! `cargo bench -p hot`: how long it takes here.

use divan::Bencher;
use hot::Samples;

fn main() {
    divan::main();
}

#[divan::bench]
fn verify_and_read(bencher: Bencher<'_, '_>) {
    let samples = Samples::new();
    bencher.bench_local(|| samples.verify_and_read());
}

#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let samples = Samples::new();
    bencher.bench_local(|| samples.read());
}

#[divan::bench]
fn print(bencher: Bencher<'_, '_>) {
    let samples = Samples::new();
    bencher.bench_local(|| samples.print());
}
