//! Searches, of which those that read many documents go on over several turns.

use crate::{
    DataError,
    core::Core,
    task::{self, Caller, Task},
    vshard::SearchRun,
};

/// A search that goes on in a later turn.
#[derive(Debug)]
pub(crate) struct Searching {
    pub(super) caller: Caller,
    run: SearchRun,
}

/// Searches of a core that may be under way.
const SEARCHES_MAX: usize = 1024;

impl Core {
    /// Searches one slice, which is all that most need.
    pub(crate) fn begin_search(&mut self, caller: Caller, run: SearchRun) {
        let Some(mut rest) = self.search_slice(Searching { caller, run }) else {
            return;
        };
        if self.searches.len() >= SEARCHES_MAX {
            let error = DataError::InboxFull { core: self.id };
            return rest.caller.reply.send(Err(error));
        }
        if !self.searches.is_empty() {
            // Those that wait hold no memory: what has been read, many keys perhaps, is of one at a time.
            rest.run.forget();
        }
        self.searches.push_back(rest);
    }

    /// Searches the next slice of the search that came first. One after the other: all would take as long
    /// together, and none would be done earlier but the last.
    pub(crate) fn search_on(&mut self) {
        let Some(searching) = self.searches.pop_front() else {
            return;
        };
        if searching.caller.reply.is_cancelled() {
            return;
        }
        if searching.caller.is_due(self.now()) {
            return searching.caller.reply.send(Err(DataError::TimedOut));
        }
        let vshard = self.vshards.get(&searching.caller.vshard);
        if vshard.is_some_and(|vshard| vshard.pause.is_some()) {
            // It waits for the group like any other read (protocol rule P4), and begins anew.
            let Searching { caller, run } = searching;
            return self.dispatch(task::seal(caller, Task::Op(Box::new(run.into_op()))));
        }
        if let Some(rest) = self.search_slice(searching) {
            self.searches.push_front(rest);
        }
    }

    /// Answers, or gives the rest back.
    fn search_slice(&mut self, searching: Searching) -> Option<Searching> {
        let Searching { caller, mut run } = searching;
        let until = self.slice_end();
        let Some(vshard) = self.vshards.get(&caller.vshard) else {
            self.fail_unknown(caller);
            return None;
        };
        match vshard.search(&mut run, until) {
            Ok(None) => return Some(Searching { caller, run }),
            Ok(Some((outcome, until))) => self.answer(caller.reply, Ok(outcome), until),
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
        None
    }
}
