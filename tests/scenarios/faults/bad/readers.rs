//! Every reader, at every seed and at random changes of them. `make fuzz` goes on where this
//! ends, guided by coverage.

use std::panic::catch_unwind;

use fuzz::{TARGETS, bad};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tests::providers::adapters;
use tests::seeds;

#[test]
fn every_seed_is_read() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(seeds.len() > 3, "{}", target.name);
        for seed in seeds {
            (target.run)(&seed);
        }
    }
}

#[test]
fn no_reader_breaks_its_promises_at_bad_bodies() {
    let seeds: Vec<_> = TARGETS.iter().map(|target| (target.seeds)()).collect();
    let inputs = (any::<Index>(), any::<Index>(), any::<u64>(), 0..5_usize);
    let config = Config {
        cases: 3_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seeds::first()),
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&inputs, |(target, seed, random, changes)| {
        let number = target.index(TARGETS.len());
        let seed = seed.get(&seeds[number]);
        // The bytes before the body say how it is read.
        let head = usize::from(!matches!(TARGETS[number].name, "json" | "settings"));
        let mut random = fastrand::Rng::with_seed(random);
        let mut body = seed[head..].to_vec();
        for _ in 0..changes {
            body = bad::body(&mut random, &body);
        }
        let input = [&seed[..head], &body].concat();
        let read = catch_unwind(|| (TARGETS[number].run)(&input));
        let shown = String::from_utf8_lossy(&input[..input.len().min(4_000)]);
        prop_assert!(read.is_ok(), "{}: {shown:?}", TARGETS[number].name);
        Ok(())
    });
    checked.expect("no reader breaks a promise");
}

#[test]
fn deep_nesting_overflows_the_stack_of_no_reader() {
    // An eighth of what a thread has: readers that went as deep as a body would have to overflow.
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let read = small.spawn(|| {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"token":["#, "]}]")] {
            let depth = 10_000;
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let cut = &deep[..deep.len() / 2];
            for body in [&*deep, cut, &format!(r#"{{"id":"x","data":{deep}}}"#)] {
                for target in TARGETS {
                    (target.run)(body.as_bytes());
                    for (which, _) in (0..).zip(adapters()) {
                        (target.run)(&[&[which, 0], body.as_bytes()].concat());
                    }
                }
            }
        }
    });
    let ended = read.expect("a thread").join();
    assert!(ended.is_ok(), "a reader panicked");
}
