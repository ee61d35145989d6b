//! Whose turn it is: passes in order, and how many threads wait for each.

use nodedb_types::Lsn;

/// More threads than this are not gathered: waking them and their coming back takes longer than a sync,
/// and half of them do it while the other half is being synced.
const GATHER_THREADS_MAX: u32 = 16;

/// Most passes without gathering after gathering was fruitless.
const PAUSE_MAX: u32 = 64;

/// Counts passes and the threads that commit in them. Part of the stage, changed under its lock.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Number of the pass in flight, or else of the next one.
    pass: usize,
    /// Whether a pass is in flight.
    in_flight: bool,
    /// The last record of the pass in flight.
    flight: Option<Lsn>,
    /// Threads that came to commit in the pass in flight, and in the one after it.
    in_this: u32,
    in_next: u32,
    /// Threads that can be expected in the next pass: those of the last one come again, and those who
    /// were there already when it ended.
    expected: u32,
    /// Passes to go before gathering is tried again, and how many it will be after the next failure.
    pause: u32,
    next_pause: u32,
}

impl Turns {
    /// The pass whose end may bring a record: the one in flight, or the one after it.
    pub(crate) fn turn_of(&self, lsn: Lsn) -> usize {
        self.pass + usize::from(self.in_flight && Some(lsn) > self.flight)
    }

    /// Counts a thread that came to commit in this turn.
    pub(crate) fn arrive(&mut self, turn: usize) {
        if let Some(count) = self.count_of(turn) {
            *count += 1;
        }
    }

    /// No longer counts a thread that gave up before the end of its turn. Who hands the lead on trusts that
    /// those who are counted for the next pass are there to take it.
    pub(crate) fn leave(&mut self, turn: usize) {
        if let Some(count) = self.count_of(turn) {
            *count -= 1;
        }
    }

    /// The threads of a turn that has not ended. One whose record is in flight is not for the next pass,
    /// even if it came after this one had begun: nobody would be woken to lead in its name.
    fn count_of(&mut self, turn: usize) -> Option<&mut u32> {
        match turn.checked_sub(self.pass)? {
            0 if self.in_flight => Some(&mut self.in_this),
            _ => Some(&mut self.in_next),
        }
    }

    /// Threads that came for the next pass.
    pub(crate) const fn arrived(&self) -> u32 {
        self.in_next
    }

    /// How many threads a leader should wait for, a moment, before it begins; `None` if for no more.
    ///
    /// Without this, writers split into two halves that commit in turns, and each sync serves only one.
    pub(crate) fn worth_gathering(&mut self) -> Option<u32> {
        if self.expected <= self.in_next || self.expected > GATHER_THREADS_MAX {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        Some(self.expected)
    }

    /// Notes whether those expected came. If not, gathering pauses, for longer each time.
    pub(crate) fn gathered(&mut self, expected: u32) {
        if self.in_next >= expected {
            self.next_pause = 0;
        } else {
            self.next_pause = (self.next_pause * 2).clamp(1, PAUSE_MAX);
            self.pause = self.next_pause;
        }
    }

    /// A pass begins; `last` is its last record.
    pub(crate) fn begin(&mut self, last: Option<Lsn>) {
        assert!(!self.in_flight, "one pass at a time");
        self.in_flight = true;
        self.flight = last;
        self.in_this = std::mem::take(&mut self.in_next);
    }

    /// The pass in flight ends; answers its number.
    pub(crate) fn end(&mut self) -> usize {
        assert!(self.in_flight, "a pass ends once");
        self.in_flight = false;
        self.expected = self.in_this + self.in_next;
        self.in_this = 0;
        self.pass += 1;
        self.pass - 1
    }

    /// Passes that have ended.
    pub(crate) const fn ended(&self) -> usize {
        self.pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_behind_the_pass_in_flight_is_for_the_next() {
        let mut turns = Turns::default();
        let second = Lsn::FIRST.next();
        assert_eq!(turns.turn_of(Lsn::FIRST), 0);
        turns.begin(Some(Lsn::FIRST));
        assert_eq!((turns.turn_of(Lsn::FIRST), turns.turn_of(second)), (0, 1));
        assert_eq!(turns.end(), 0);
        assert_eq!(turns.turn_of(second), 1);
        turns.begin(None);
        assert_eq!(
            turns.turn_of(Lsn::FIRST),
            2,
            "a pass that only syncs nothing new brings nothing"
        );
    }

    #[test]
    fn a_leader_expects_those_of_the_last_pass_and_who_came_meanwhile() {
        let mut turns = Turns::default();
        for _ in 0..3 {
            turns.arrive(0);
        }
        assert_eq!(turns.worth_gathering(), None, "nobody is known yet");
        turns.begin(Some(Lsn::FIRST));
        turns.arrive(1);
        turns.end();
        assert_eq!(turns.worth_gathering(), Some(4));
        for _ in 0..3 {
            turns.arrive(1);
        }
        assert_eq!(turns.worth_gathering(), None, "all have come");
    }

    #[test]
    fn only_those_who_will_be_there_count_for_the_next_pass() {
        let mut turns = Turns::default();
        turns.arrive(0);
        turns.begin(Some(Lsn::FIRST));
        turns.arrive(0);
        assert_eq!(turns.arrived(), 0, "its record is in flight");
        turns.arrive(1);
        turns.arrive(1);
        turns.leave(1);
        assert_eq!(turns.arrived(), 1, "one gave up");
        turns.leave(0);
        turns.end();
        assert_eq!(turns.expected, 2);
        turns.leave(0);
        assert_eq!(turns.arrived(), 1, "a turn that has ended counts nobody");
    }

    #[test]
    fn fruitless_gathering_pauses_longer_each_time_and_success_ends_it() {
        let mut turns = Turns { expected: 2, ..Turns::default() };
        let mut tried = Vec::new();
        for pass in 0..20 {
            if let Some(expected) = turns.worth_gathering() {
                turns.gathered(expected);
                tried.push(pass);
            }
        }
        assert_eq!(tried, [0, 2, 5, 10, 19]);
        turns.pause = 0;
        turns.in_next = 2;
        turns.gathered(2);
        turns.in_next = 1;
        assert_eq!(turns.worth_gathering(), Some(2));
    }
}
