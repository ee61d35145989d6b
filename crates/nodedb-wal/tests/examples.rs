//! The examples that are small programs with an outcome, run as tests.

#[path = "../examples/tail.rs"]
mod tail;

#[test]
fn the_tailing_replica_survives_its_restarts() {
    tail::main().expect("it checks itself");
}
