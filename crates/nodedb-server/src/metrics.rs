//! `/metrics`: the state of the database in the text format of Prometheus. docs/metrics.md explains each.

use crate::{refusal::Refusal, state::Shared};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use nodedb::{Health, Lsn, Status, VshardStatus};
use std::fmt::{Display, Write};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(State(shared): State<Shared>) -> Result<Response, Refusal> {
    let text = exposition(&shared.database.status()?);
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// What is absent, such as the position of an archive that there is not, has no sample.
fn exposition(status: &Status) -> String {
    let mut page = Page::default();
    let healthy = u8::from(status.health == Health::Ok);
    page.gauge("nodedb_healthy", "1 if the database does all that it should, else 0")
        .sample(&[], healthy);
    page.gauge("nodedb_health", "1 for the present state of the health")
        .sample(&[("state", &status.health.name())], 1);
    positions(&mut page, status);
    checkpoints(&mut page, status);
    holds(&mut page, status);
    vshards(&mut page, &status.vshards);
    page.text
}

fn positions(page: &mut Page, status: &Status) {
    let lsn = |lsn: Option<Lsn>| lsn.map(Lsn::get);
    page.gauge("nodedb_durable_lsn", "Last record that survives a power cut")
        .maybe(&[], lsn(status.durable_lsn));
    page.gauge("nodedb_redo_lsn", "First record that recovery needs")
        .sample(&[], status.redo_lsn.get());
    page.gauge("nodedb_archived_lsn", "Last record that the archive holds, of all before it too")
        .maybe(&[], lsn(status.archived_lsn));
    page.gauge("nodedb_oldest_lsn", "Oldest record of the local log")
        .sample(&[], status.oldest_lsn.get());
    page.gauge("nodedb_log_bytes", "Bytes of the local log in use").sample(&[], status.wal_bytes);
    page.gauge(
        "nodedb_recovery_estimate_seconds",
        "How long recovery would replay after a crash now",
    )
    .sample(&[], seconds(status.estimated_recovery_ms));
    page.gauge("nodedb_archive_lag_records", "Records that are durable and not archived")
        .maybe(&[], status.archive.as_ref().map(|archive| archive.lag_records));
}

fn checkpoints(page: &mut Page, status: &Status) {
    let checkpoint = &status.checkpoint;
    page.gauge("nodedb_checkpoint_phase", "1 for what the checkpointer does now")
        .sample(&[("phase", &checkpoint.phase)], 1);
    page.gauge("nodedb_log_age", "1 for how the log from the redo position compares to its limit")
        .sample(&[("age", &checkpoint.log_age.name())], 1);
    page.gauge("nodedb_checkpoint_last_end_seconds", "When the last checkpoint ended, since 1970");
    if let Some(last) = &checkpoint.last {
        let outcome = last.outcome.as_ref().map_or("failed", nodedb::CheckpointOutcome::name);
        let labels: Labels<'_> = &[("outcome", &outcome), ("trigger", &last.trigger.name())];
        page.sample(labels, seconds(last.unix_ms));
    }
}

fn holds(page: &mut Page, status: &Status) {
    page.gauge("nodedb_hold_lsn", "First record that something keeps");
    for hold in &status.holds {
        page.sample(&[("name", &hold.name)], hold.lsn.get());
    }
    page.gauge("nodedb_hold_bytes", "Bytes of log that something keeps, by whole segments");
    for hold in &status.holds {
        page.sample(&[("name", &hold.name)], hold.bytes);
    }
    page.gauge("nodedb_hold_age_seconds", "Age of the oldest segment that something keeps");
    for hold in &status.holds {
        page.sample(&[("name", &hold.name)], seconds(hold.since_ms));
    }
}

fn vshards(page: &mut Page, vshards: &[VshardStatus]) {
    page.gauge("nodedb_vshard_dirty_bytes", "Bytes in memory that no file of the vshard holds");
    for vshard in vshards {
        page.sample(&[("vshard", &vshard.vshard.get())], vshard.dirty_bytes);
    }
    page.gauge("nodedb_vshard_flush_failing", "1 if the last flush of the vshard failed, else 0");
    for vshard in vshards {
        page.sample(&[("vshard", &vshard.vshard.get())], u8::from(vshard.failure.is_some()));
    }
    page.gauge("nodedb_vshard_quarantined_updates", "CRDT updates that made the library fail");
    for vshard in vshards {
        page.sample(&[("vshard", &vshard.vshard.get())], vshard.quarantine.len());
    }
    page.gauge("nodedb_vshard_floor_lsn", "Last record for which an engine does not need the log");
    for vshard in vshards {
        for engine in &vshard.engines {
            let labels: Labels<'_> =
                &[("vshard", &vshard.vshard.get()), ("engine", &engine.engine.name())];
            page.maybe(labels, engine.effective.map(Lsn::get));
        }
    }
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

type Labels<'a> = &'a [(&'a str, &'a dyn Display)];

/// The text as it grows: a name with its help, then its samples.
#[derive(Default)]
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    fn gauge(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.name = name;
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        self
    }

    fn maybe(&mut self, labels: Labels<'_>, value: Option<u64>) {
        if let Some(value) = value {
            self.sample(labels, value);
        }
    }

    fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        let name = self.name;
        let label = |(name, value): &(&str, &dyn Display)| {
            format!("{name}=\"{}\"", escaped(&value.to_string()))
        };
        let labels: Vec<_> = labels.iter().map(label).collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {value}\n"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}\n", labels.join(",")));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = self.text.write_fmt(line);
        assert!(written.is_ok(), "a String takes whatever is written to it");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_the_format_wants_them() {
        let mut page = Page::default();
        page.gauge("a_bytes", "Bytes").sample(&[], 7);
        page.gauge("b", "B").sample(&[("name", &"x\"\\\n"), ("n", &1)], seconds(1_050));
        page.gauge("c", "C").maybe(&[], None);
        let expected = "# HELP a_bytes Bytes\n# TYPE a_bytes gauge\na_bytes 7\n\
                        # HELP b B\n# TYPE b gauge\nb{name=\"x\\\"\\\\\\n\",n=\"1\"} 1.050\n\
                        # HELP c C\n# TYPE c gauge\n";
        assert_eq!(page.text, expected);
    }
}
