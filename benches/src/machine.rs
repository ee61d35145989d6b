//! Where a run took place.

use std::{fmt, fs, path::Path, thread, time::Duration};

/// What a reader of absolute figures must know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Type of the file system that was written to.
    pub file_system: String,
    /// The device below it, and whether it says that it has a cache which a sync must flush.
    pub device: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Processors that this process may use.
    pub cores: usize,
}

impl Machine {
    /// Describes the machine, as far as it tells, and the file system of `dir`.
    pub fn of(dir: &Path) -> Self {
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let (file_system, device) = mount(&text("/proc/self/mountinfo"), &dir);
        let name = device.rsplit('/').next().unwrap_or_default();
        let cache = text(&format!("/sys/class/block/{name}/queue/write_cache"));
        let device = match cache.trim() {
            "" => device,
            cache => format!("{device}, {cache}"),
        };
        Self {
            file_system,
            device,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file_system, device, kernel, cores } = self;
        write!(formatter, "{file_system} on {device}; kernel {kernel}; {cores} cores")
    }
}

/// Peak of this process's memory in KiB, with the pages of mapped files; `None` if the system does not tell.
pub fn peak_memory_kib() -> Option<u64> {
    field(&text("/proc/self/status"), "VmHWM:")
}

/// Resident memory of this process in KiB: anonymous, and pages of mapped files; `None` if the system does
/// not tell.
pub fn resident_memory_kib() -> Option<(u64, u64)> {
    let status = text("/proc/self/status");
    Some((field(&status, "RssAnon:")?, field(&status, "RssFile:")?))
}

/// Processor time that the threads of this process have used; `None` if the system does not tell.
pub fn cpu_time() -> Option<Duration> {
    ticks(&text("/proc/self/stat")).map(|ticks| TICK.saturating_mul(ticks))
}

/// What the kernel counts processor time in for its readers, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// In user mode and in the kernel: fields 14 and 15, the twelfth and thirteenth behind the name.
fn ticks(stat: &str) -> Option<u32> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, kernel) = (fields.next()?.ok()?, fields.next()?.ok()?);
    user.checked_add(kernel)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the kernel tells has no length, and no simulation stands in for it"
)]
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Type and device of the innermost mount that holds `dir`.
fn mount(table: &str, dir: &Path) -> (String, String) {
    let innermost = table.lines().filter_map(|line| {
        let point = line.split(' ').nth(4)?;
        let (_, tail) = line.split_once(" - ")?;
        let mut tail = tail.split(' ');
        let (kind, device) = (tail.next()?, tail.next()?);
        dir.starts_with(point).then_some((point.len(), kind, device))
    });
    // The last of equals: a later mount hides an earlier one.
    let found = innermost.max_by_key(|(depth, ..)| *depth);
    let (kind, device) = found.map_or(("unknown", "unknown"), |(_, kind, device)| (kind, device));
    (kind.to_owned(), device.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
20 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 20 0:30 / /tmp rw - tmpfs tmpfs rw,size=1024k
40 20 254:16 / /tmpfiles rw shared:7 - xfs /dev/vdb rw
";

    #[test]
    fn the_innermost_mount_counts() {
        let of = |dir: &str| mount(TABLE, Path::new(dir));
        assert_eq!(of("/home"), ("ext4".to_owned(), "/dev/vda".to_owned()));
        assert_eq!(of("/tmp/x"), ("tmpfs".to_owned(), "tmpfs".to_owned()));
        assert_eq!(of("/tmpfiles/x"), ("xfs".to_owned(), "/dev/vdb".to_owned()));
        assert_eq!(mount("", Path::new("/")).0, "unknown");
    }

    #[test]
    fn a_field_of_the_status_is_a_number() {
        let status = "Name:\tbench\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(12_345));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn processor_time_stands_behind_the_name_whatever_that_is() {
        let stat = "7 (a) 1 b) S 1 7 7 0 -1 4194304 1 0 0 0 250 31 0 0 20 0 3 0 99\n";
        assert_eq!(ticks(stat), Some(281));
        assert_eq!(ticks("7 (bench) S 1"), None);
    }

    #[test]
    fn this_process_has_a_peak_and_uses_time() {
        assert!(peak_memory_kib().is_some_and(|kib| kib > 100));
        assert!(resident_memory_kib().is_some_and(|(anonymous, files)| anonymous + files > 100));
        assert!(cpu_time().is_some());
    }
}
