//! Room on the disk that is kept for flushing (protocol rule P10).
//!
//! Deleting is what frees a full disk, but a delete is a row more before it is a row less: it stands in
//! memory until a flush, and its tables are merged after that. With nothing to flush into, memory fills, and
//! no byte is freed. So files of nothing keep some room, which is given piece by piece to the flushes, or
//! the open, that find none; it is made again once flushes succeed and the disk has room. Merges may use
//! half of it. In pieces, because the log prepares its files meanwhile: room for one of those at once would
//! be gone before the flush comes back to it.

use nodedb_env::{EntryKind, Env, Open};
use parking_lot::Mutex;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many files it is.
const PIECES: usize = 8;
const MAKING: &str = "ballast.tmp";
/// How long after it was used or could not be made it is tried again at the earliest: an attempt that fails
/// fills the disk for a moment.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The ballast of a database.
#[derive(Debug)]
pub(crate) struct Ballast {
    env: Env,
    /// The directory of all vshards.
    dir: PathBuf,
    /// How large a piece is; 0 for none.
    piece_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Which of the pieces are there.
    held: [bool; PIECES],
    /// When they may be made again.
    not_before: Duration,
}

/// Who needs room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// What stands in memory has to get to disk.
    Flush,
    /// Tables are to become fewer. It may not take the last: without a flush it has nothing to merge.
    Merge,
}

impl Ballast {
    /// Looks whether it is there. Makes nothing: the disk may be full, and the database must open.
    pub(crate) fn open(env: &Env, dir: &Path, bytes: u64) -> Self {
        let piece_bytes = bytes.div_ceil(PIECES as u64);
        let is_held = |number| {
            // What cannot be looked at is no room to count on.
            let entry = env.files.entry(&dir.join(name(number))).ok().flatten();
            entry.is_some_and(|it| it.kind == EntryKind::File && it.len >= piece_bytes.max(1))
        };
        let state = State { held: std::array::from_fn(is_held), not_before: Duration::ZERO };
        Self { env: env.clone(), dir: dir.to_owned(), piece_bytes, state: Mutex::new(state) }
    }

    /// Gives a piece of the room to whoever has found none. Whether there is more now, so that another try
    /// is worth it.
    pub(crate) fn release(&self, need: Need) -> bool {
        let mut state = self.state.lock();
        let kept = match need {
            Need::Flush => 0,
            Need::Merge => PIECES / 2,
        };
        if state.held.iter().filter(|held| **held).count() <= kept {
            return false;
        }
        state.not_before = self.env.clock.now().saturating_add(RETRY_AFTER);
        let Some(number) = state.held.iter().position(|held| *held) else {
            return false;
        };
        if let Some(held) = state.held.get_mut(number) {
            *held = false;
        }
        let removed = self.env.files.remove_file(&self.dir.join(name(number)));
        match &removed {
            Ok(()) => {
                tracing::warn!(bytes = self.piece_bytes, ?need, "full disk: using the ballast");
            }
            Err(error) => tracing::error!(%error, "the ballast cannot be removed"),
        }
        removed.is_ok()
    }

    /// Makes what is missing of it, unless that was tried a short while ago. A failure costs nothing but the
    /// room.
    pub(crate) fn restore(&self) {
        let mut state = self.state.lock();
        let now = self.env.clock.now();
        if self.piece_bytes == 0 || state.held == [true; PIECES] || now < state.not_before {
            return;
        }
        state.not_before = now.saturating_add(RETRY_AFTER);
        for (number, held) in state.held.iter_mut().enumerate().filter(|(_, held)| !**held) {
            if let Err(error) = self.make(&name(number)) {
                tracing::debug!(%error, "there is no room for the ballast");
                return self.clear(MAKING);
            }
            *held = true;
        }
    }

    /// Under another name first: a kill midway leaves no piece that is shorter than it says.
    fn make(&self, name: &str) -> io::Result<()> {
        let making = self.dir.join(MAKING);
        self.clear(MAKING);
        self.clear(name);
        let file = self.env.files.open(&making, Open::CreateNew)?;
        file.allocate(self.piece_bytes)?;
        file.sync_data()?;
        self.env.files.rename(&making, &self.dir.join(name))
    }

    fn clear(&self, name: &str) {
        // There is nothing, mostly.
        drop(self.env.files.remove_file(&self.dir.join(name)));
    }
}

fn name(number: usize) -> String {
    format!("ballast-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_testkit::{ManualClock, SimFiles};
    use std::sync::Arc;

    const BYTES: u64 = 800;

    fn world() -> (SimFiles, Arc<ManualClock>, Env) {
        let disk = SimFiles::new(1);
        let clock = Arc::new(ManualClock::new());
        let env = disk.env_with_clock(Arc::<ManualClock>::clone(&clock));
        env.files.create_dir(Path::new("/vshards")).expect("a directory");
        (disk, clock, env)
    }

    fn open(env: &Env, bytes: u64) -> Ballast {
        Ballast::open(env, Path::new("/vshards"), bytes)
    }

    fn held(disk: &SimFiles) -> usize {
        disk.snapshot().files().values().map(Vec::len).sum()
    }

    #[test]
    fn it_is_given_piece_by_piece_and_made_again_later() {
        let (disk, clock, env) = world();
        let ballast = open(&env, BYTES);
        assert!(!ballast.release(Need::Flush), "there is none yet");
        ballast.restore();
        assert_eq!(held(&disk), 800);
        // Found by the next open.
        let ballast = open(&env, BYTES);
        let merges = (0..=PIECES).take_while(|_| ballast.release(Need::Merge)).count();
        assert_eq!((merges, held(&disk)), (4, 400), "merges may not take the last of it");
        let flushes = (0..=PIECES).take_while(|_| ballast.release(Need::Flush)).count();
        assert_eq!((flushes, held(&disk)), (4, 0));
        ballast.restore();
        assert_eq!(held(&disk), 0, "whoever it was given to comes first");
        clock.advance(RETRY_AFTER);
        ballast.restore();
        assert_eq!(held(&disk), 800);
    }

    #[test]
    fn a_disk_without_room_for_it_keeps_what_there_is() {
        let (disk, clock, env) = world();
        disk.set_quota(Some(BYTES - 1));
        let ballast = open(&env, BYTES);
        ballast.restore();
        assert_eq!(held(&disk), 700);
        disk.set_quota(None);
        ballast.restore();
        assert_eq!(held(&disk), 700, "not at once again");
        clock.advance(RETRY_AFTER);
        ballast.restore();
        assert_eq!(held(&disk), 800);
    }

    #[test]
    fn one_of_another_size_is_made_anew() {
        let (disk, _, env) = world();
        open(&env, BYTES).restore();
        let larger = open(&env, 2 * BYTES);
        assert!(!larger.release(Need::Flush), "what is there is too little to count on");
        larger.restore();
        assert_eq!(held(&disk), 1600);
        let none = open(&env, 0);
        assert!(none.release(Need::Flush), "no longer wanted, and room all the same");
        none.restore();
        assert_eq!(held(&disk), 1400);
    }
}
