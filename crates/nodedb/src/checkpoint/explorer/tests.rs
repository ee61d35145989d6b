//! The counts, and one test for each broken rule. `docs/durability.md` names them.

use super::{
    files::{LogFlaw, SmallLog},
    search::{Model, explore},
    world::{Budget, Flaw, Small},
};
use crate::checkpoint::Mutation;

/// States above which a model is no longer exhaustive on a small machine.
const STATES_MAX: usize = 1_500_000;

/// One write, one call.
const ONE: Budget = Budget {
    puts: 1,
    groups: 0,
    calls: 1,
    failures: 0,
    crashes: 0,
    restarts: 0,
    pins: 0,
    shutdowns: 0,
};

fn sound(name: &str, model: &impl Model) {
    match explore(model, STATES_MAX) {
        Ok(explored) => println!("{name}: {explored}"),
        Err(broken) => panic!("{name}: {broken}"),
    }
}

fn found(promise: &str, model: &impl Model) {
    match explore(model, STATES_MAX) {
        Ok(explored) => panic!("the broken rule was not noticed: {explored}"),
        Err(broken) => {
            println!("{broken}");
            assert!(broken.promise.contains(promise), "{broken}");
        }
    }
}

fn small(budget: Budget) -> Small {
    Small { budget, required: false, flaw: None }
}

fn flawed(flaw: Flaw, budget: Budget) -> Small {
    Small { flaw: Some(flaw), ..small(budget) }
}

/// Two rounds over two writes, with late, repeated and lost reports, callers who join or wait, and poison.
#[test]
fn no_round_in_any_order_loses_a_record() {
    sound("rounds", &small(Budget { puts: 2, calls: 2, ..ONE }));
}

/// The same with a flush or a record that fails.
#[test]
fn no_failing_round_loses_a_record() {
    sound("failures", &small(Budget { calls: 2, failures: 1, ..ONE }));
}

/// A crash between any two steps, after which any of what was not durable is there, and either slot of
/// CONTROL may be the intact one; then another round.
#[test]
fn no_crash_at_any_step_loses_a_record() {
    sound("crash", &small(Budget { calls: 2, crashes: 1, ..ONE }));
}

#[test]
fn no_paused_group_loses_its_part() {
    sound("groups", &small(Budget { groups: 1, crashes: 1, ..ONE }));
}

#[test]
fn no_new_owner_of_a_vshard_loses_a_record() {
    sound("new owners", &small(Budget { calls: 2, restarts: 1, failures: 1, ..ONE }));
}

#[test]
fn no_archive_and_no_pin_loses_what_it_holds() {
    let budget = Budget { puts: 2, pins: 1, crashes: 1, ..ONE };
    sound("archive and pin", &Small { required: true, ..small(budget) });
}

#[test]
fn no_shutdown_loses_a_record_or_leaves_a_caller() {
    sound("shutdown", &small(Budget { puts: 2, failures: 1, shutdowns: 1, ..ONE }));
}

/// D-1: mutation 1.
#[test]
fn skipping_a_failed_vshard_is_found() {
    let budget = Budget { puts: 2, failures: 1, ..ONE };
    found("replayed", &flawed(Flaw::Machine(Mutation::SkipFailed), budget));
}

/// P4: mutation 2.
#[test]
fn reporting_while_paused_is_found() {
    let budget = Budget { groups: 1, ..ONE };
    found("I6", &flawed(Flaw::ReportWhilePaused, budget));
}

/// P13: mutation 3.
#[test]
fn deleting_before_control_is_synced_is_found() {
    found("I9", &flawed(Flaw::DeleteBeforeControl, ONE));
}

/// D-17: mutation 4.
#[test]
fn deleting_before_the_archive_has_it_is_found() {
    found("I11", &Small { required: true, ..flawed(Flaw::ArchiveAfterDelete, ONE) });
}

#[test]
fn ignoring_a_pin_is_found() {
    found("I12", &flawed(Flaw::IgnorePins, Budget { pins: 1, ..ONE }));
}

/// Mutation 9.
#[test]
fn believing_a_report_of_an_old_life_is_found() {
    let budget = Budget { restarts: 1, ..ONE };
    found("replayed", &flawed(Flaw::Machine(Mutation::AcceptOldLife), budget));
}

/// D-2: mutation 10.
#[test]
fn a_minimum_over_responders_only_is_found() {
    let budget = Budget { puts: 2, ..ONE };
    found("replayed", &flawed(Flaw::Machine(Mutation::MinOverResponders), budget));
}

const LOG: SmallLog = SmallLog { appends: 5, crashes: 2, failures: 1, flaw: None };

fn flawed_log(flaw: LogFlaw) -> SmallLog {
    SmallLog { flaw: Some(flaw), ..LOG }
}

#[test]
fn no_power_cut_of_the_log_loses_or_resurrects_a_record() {
    sound("the log", &LOG);
}

/// D-35: mutation 5.
#[test]
fn reusing_an_lsn_after_a_torn_tail_is_found() {
    found("P8", &flawed_log(LogFlaw::ReuseLsn));
}

/// D-37: mutation 6.
#[test]
fn appending_to_the_old_tail_is_found() {
    found("I4", &flawed_log(LogFlaw::AppendToOldTail));
}

/// D-24: mutation 7.
#[test]
fn retrying_a_failed_sync_is_found() {
    found("I3", &flawed_log(LogFlaw::RetrySync));
}

/// D-48: mutation 8.
#[test]
fn dropping_the_sync_of_the_directory_is_found() {
    found("I3", &flawed_log(LogFlaw::DropDirectorySync));
}
