//! Checks a model, and says what came of it in a line.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

/// A line of the test's output that libtest does not keep to itself.
pub(crate) fn say(line: &str) {
    // A closed output is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Every state that the model can reach keeps every invariant.
pub(crate) fn holds<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + Debug + PartialEq,
    M::Action: Debug + Clone + PartialEq,
{
    let began = Instant::now();
    let checked = model.checker().spawn_bfs().join();
    if let Some((invariant, path)) = checked.discoveries().into_iter().next() {
        panic!("{name}: broken: {invariant}, by {:#?}", path.into_actions());
    }
    say(&format!(
        "model: {name:<52} holds: {:>9} states, {:>2} steps deep, {:.1} s",
        checked.unique_state_count(),
        checked.max_depth(),
        began.elapsed().as_secs_f32()
    ));
}

/// The model, mutated, breaks the invariant; the shortest way there is shown.
pub(crate) fn breaks<M>(mutation: &str, name: &str, model: M, invariant: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + Debug + PartialEq,
    M::Action: Debug + Clone + PartialEq,
{
    let wanted = HasDiscoveries::AnyOf(BTreeSet::from([invariant]));
    let checked = model.checker().finish_when(wanted).spawn_bfs().join();
    let Some(path) = checked.discovery(invariant) else {
        let others: Vec<_> = checked.discoveries().into_keys().collect();
        panic!("{mutation} ({name}) does not break: {invariant}; but {others:?}");
    };
    let actions = path.into_actions();
    assert!(!actions.is_empty());
    say(&format!(
        "model: {mutation:<27} {name:<25} breaks: {invariant:<58} in {:>2} steps, {:>7} states",
        actions.len(),
        checked.unique_state_count()
    ));
}
