//! Options of `DIR/nodedb.toml`. Flags win over them.

use crate::{
    args::{Globals, InitArgs, PolicyName, log_filter, parse_durability},
    failure::Failure,
    user_file,
};
use clap::ValueEnum;
use nodedb::OpenOptions;
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Name of the file, in the directory of the database.
pub(crate) const FILE: &str = "nodedb.toml";

/// Every key, for the answer to a misspelt one.
const KEYS: [&str; 24] = [
    "json",
    "log",
    "tenant",
    "vshards",
    "segment-bytes",
    "archive",
    "archive-policy",
    "durability",
    "cores",
    "checkpoint-interval-ms",
    "checkpoint-deadline-ms",
    "recovery-target-ms",
    "log-bytes-max",
    "log-disk-max",
    "request-deadline-ms",
    "object-bytes",
    "object-age-ms",
    "memtable-bytes",
    "memory-bytes-per-core",
    "io-bytes-per-second",
    "clock-jump-max-ms",
    "tenant-in-flight",
    "tenant-collections",
    "tenant-bytes",
];

/// What the file says.
#[derive(Deserialize, Clone, Default, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settings {
    pub(crate) json: Option<bool>,
    pub(crate) log: Option<String>,
    pub(crate) tenant: Option<String>,
    vshards: Option<u16>,
    segment_bytes: Option<u64>,
    archive: Option<String>,
    archive_policy: Option<String>,
    durability: Option<String>,
    cores: Option<u16>,
    checkpoint_interval_ms: Option<u64>,
    checkpoint_deadline_ms: Option<u64>,
    recovery_target_ms: Option<u64>,
    log_bytes_max: Option<u64>,
    log_disk_max: Option<u64>,
    request_deadline_ms: Option<u64>,
    object_bytes: Option<u64>,
    object_age_ms: Option<u64>,
    memtable_bytes: Option<usize>,
    memory_bytes_per_core: Option<usize>,
    io_bytes_per_second: Option<u64>,
    clock_jump_max_ms: Option<u64>,
    tenant_in_flight: Option<u32>,
    tenant_collections: Option<usize>,
    tenant_bytes: Option<u64>,
}

impl Settings {
    /// Reads the file of a directory; nothing where there is none.
    ///
    /// # Errors
    /// [`Failure::File`] if it cannot be read, [`Failure::Input`] for what it must not hold.
    pub(crate) fn of(dir: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = dir.map(|dir| dir.join(FILE)) else {
            return Ok(Self::default());
        };
        match user_file::read_if_there(&path)? {
            None => Ok(Self::default()),
            Some(text) => Self::parse(&text, &path),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::input(path.display().to_string(), message);
        let table: toml::Table = text.parse().map_err(|error| wrong(format!("{error}")))?;
        if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(wrong(format!(
                "unknown key `{unknown}`: did you mean `{}`?",
                nearest(unknown)
            )));
        }
        let settings: Self = table.try_into().map_err(|error| wrong(format!("{error}")))?;
        // Checked at once, whichever command runs: a typing error must not wait for its moment.
        settings.init_args(&InitArgs::default()).map_err(&wrong)?;
        if let Some(log) = &settings.log {
            log_filter(log).map_err(|error| wrong(format!("log = {log:?}: {error}")))?;
        }
        Ok(settings)
    }

    /// The options of `init`: the flags, then the file.
    ///
    /// # Errors
    /// Says which key has which wrong value.
    pub(crate) fn init_args(&self, flags: &InitArgs) -> Result<InitArgs, String> {
        let policy = self.archive_policy.as_deref().map(|name| {
            PolicyName::from_str(name, false)
                .or(Err(format!("archive-policy = {name:?}: give required or disabled")))
        });
        let durability = self.durability.as_deref().map(|text| {
            parse_durability(text).map_err(|error| format!("durability = {text:?}: {error}"))
        });
        Ok(InitArgs {
            vshards: flags.vshards.or(self.vshards),
            segment_bytes: flags.segment_bytes.or(self.segment_bytes),
            archive: flags.archive.clone().or_else(|| self.archive.clone()),
            archive_policy: flags.archive_policy.or(policy.transpose()?),
            durability: flags.durability.or(durability.transpose()?),
        })
    }

    /// How an existing database is opened.
    pub(crate) fn open_options(&self) -> OpenOptions {
        let mut options = OpenOptions::existing();
        options.cores = self.cores.or(options.cores);
        let durations = [
            (&mut options.checkpoint_interval, self.checkpoint_interval_ms),
            (&mut options.checkpoint_deadline, self.checkpoint_deadline_ms),
            (&mut options.recovery_target, self.recovery_target_ms),
            (&mut options.request_deadline, self.request_deadline_ms),
            (&mut options.object_age, self.object_age_ms),
            (&mut options.clock_jump_max, self.clock_jump_max_ms),
        ];
        for (option, ms) in durations {
            *option = ms.map_or(*option, Duration::from_millis);
        }
        options.log_bytes_max = self.log_bytes_max.unwrap_or(options.log_bytes_max);
        options.log_disk_max = self.log_disk_max.or(options.log_disk_max);
        options.object_bytes = self.object_bytes.unwrap_or(options.object_bytes);
        options.memtable_bytes = self.memtable_bytes.unwrap_or(options.memtable_bytes);
        let memory = self.memory_bytes_per_core;
        options.memory_bytes_per_core = memory.unwrap_or(options.memory_bytes_per_core);
        options.io_bytes_per_second = self.io_bytes_per_second.or(options.io_bytes_per_second);
        let tenants = &mut options.tenant_limits;
        tenants.in_flight = self.tenant_in_flight.unwrap_or(tenants.in_flight);
        tenants.collections = self.tenant_collections.unwrap_or(tenants.collections);
        tenants.bytes = self.tenant_bytes.or(tenants.bytes);
        options
    }

    /// The global options: the flags, then the file.
    pub(crate) fn globals(&self, flags: &Globals) -> Globals {
        Globals {
            dir: flags.dir.clone(),
            json: flags.json || self.json == Some(true),
            log: flags.log.clone().or_else(|| self.log.clone()),
            tenant: flags.tenant.clone().or_else(|| self.tenant.clone()),
        }
    }
}

/// The key that takes the fewest edits.
fn nearest(unknown: &str) -> &'static str {
    let written = unknown.to_ascii_lowercase().replace('_', "-");
    let distance = |key: &&&str| strsim::damerau_levenshtein(&written, key);
    KEYS.iter().min_by_key(distance).copied().unwrap_or_default()
}

/// The directory of a command that needs one.
///
/// # Errors
/// [`Failure::Usage`] if none is given.
pub(crate) fn required_dir(dir: Option<&PathBuf>) -> Result<&Path, Failure> {
    let message = || "no database directory: give --dir DIR, or set NODEDB_DIR".to_owned();
    dir.map(PathBuf::as_path).ok_or_else(|| Failure::Usage { message: message() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb::{Durability, TenantLimits};

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("db/nodedb.toml")).map_err(|failure| failure.line())
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        for (written, key) in [
            ("segment_bytes", "segment-bytes"),
            ("vshard", "vshards"),
            ("achrive", "archive"),
            ("Durability", "durability"),
            ("checkpoint-intervall-ms", "checkpoint-interval-ms"),
        ] {
            let line = parse(&format!("{written} = 1")).expect_err(written);
            assert!(line.contains("db/nodedb.toml"), "{line}");
            assert!(line.contains(&format!("`{written}`: did you mean `{key}`?")), "{line}");
        }
    }

    #[test]
    fn wrong_values_are_refused_whichever_command_runs() {
        for bad in [
            "durability = \"never\"",
            "archive-policy = \"best-effort\"",
            "vshards = \"8\"",
            "vshards = -1",
            "log = \"[\"",
            "json =",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_win() -> Result<(), String> {
        let settings =
            parse("vshards = 4\ndurability = \"buffered\"\ntenant = \"a\"\njson = true")?;
        let flags = InitArgs { vshards: Some(2), ..InitArgs::default() };
        let init = settings.init_args(&flags)?;
        assert_eq!((init.vshards, init.durability), (Some(2), Some(Durability::Buffered)));
        let flags = Globals { tenant: Some("b".to_owned()), ..Globals::default() };
        let globals = settings.globals(&flags);
        assert_eq!((globals.tenant.as_deref(), globals.json), (Some("b"), true));
        Ok(())
    }

    #[test]
    fn every_key_reaches_an_option() -> Result<(), String> {
        let text = "cores = 3\ncheckpoint-interval-ms = 1\ncheckpoint-deadline-ms = 2\n\
                    request-deadline-ms = 3\nobject-bytes = 4\nobject-age-ms = 5\n\
                    memtable-bytes = 6\ntenant-in-flight = 7\ntenant-collections = 8\ntenant-bytes = 9\n\
                    memory-bytes-per-core = 9\nio-bytes-per-second = 10\nclock-jump-max-ms = 6\n\
                    recovery-target-ms = 7\nlog-bytes-max = 11";
        let options = parse(text)?.open_options();
        assert_eq!(options.create, None);
        assert_eq!((options.cores, options.object_bytes, options.memtable_bytes), (Some(3), 4, 6));
        let TenantLimits { in_flight, collections, bytes } = options.tenant_limits;
        assert_eq!((in_flight, collections, bytes), (7, 8, Some(9)));
        assert_eq!((options.memory_bytes_per_core, options.io_bytes_per_second), (9, Some(10)));
        let ms = [
            options.checkpoint_interval,
            options.checkpoint_deadline,
            options.request_deadline,
            options.object_age,
            options.clock_jump_max,
            options.recovery_target,
        ];
        assert_eq!(ms.map(|duration| duration.as_millis()), [1, 2, 3, 5, 6, 7]);
        assert_eq!(options.log_bytes_max, 11);
        Ok(())
    }
}
