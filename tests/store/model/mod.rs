//! The lease protocol against a reference: workers that die and come back, clocks that jump.
//!
//! [`reference`] says what must happen, purely; [`machine`] lets it happen in a real store and
//! compares, and holds the store to what must always be true whatever the reference says;
//! [`tales`] shows that histories are worth trying.

mod machine;
mod reference;
mod tales;

use std::marker::PhantomData;

use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine as _, StateMachineTest as _};

use crate::backend::Backend;
use machine::Machine;
use reference::Reference;

/// How many histories are tried when `PROPTEST_CASES` does not say.
const CASES: u32 = 20;

/// How many steps a history has.
const STEPS: std::ops::Range<usize> = 20..80;

/// A database, as a type: the library's machines are made by their types alone.
pub(crate) trait Instance: 'static {
    /// The database.
    const BACKEND: Backend;
}

/// The protocol over one database.
#[derive(Debug)]
struct Protocol<I>(PhantomData<I>);

/// Tries histories until one shows a difference, and then the shortest one that does.
pub(crate) fn check<I: Instance>() {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let histories = Reference::sequential_strategy(STEPS);
    let outcome = TestRunner::new(config.clone()).run(&histories, |(start, steps, seen)| {
        Protocol::<I>::test_sequential(config.clone(), start, steps, seen);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

impl<I: Instance> proptest_state_machine::StateMachineTest for Protocol<I> {
    type SystemUnderTest = Machine;
    type Reference = Reference;

    fn init_test(start: &Reference) -> Machine {
        Machine::new(I::BACKEND, start)
    }

    fn apply(mut machine: Machine, after: &Reference, step: reference::Step) -> Machine {
        machine.apply(after, step);
        machine
    }

    fn check_invariants(machine: &Machine, reference: &Reference) {
        machine.check(reference);
    }

    fn teardown(machine: Machine, reference: Reference) {
        machine.check_end(&reference);
    }
}
