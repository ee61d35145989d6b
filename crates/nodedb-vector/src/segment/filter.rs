//! A caller's filter on its way through foreign code.

use super::error::SegmentError;
use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A filter on slots, called while a segment is searched.
pub(crate) type Accept<'a> = dyn FnMut(u32) -> bool + 'a;

/// How a filter came through a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It was asked whatever the search wanted to know.
    Answered,
    /// The search wanted to know more than it should: what it found means nothing.
    Exhausted,
}

/// A filter that never unwinds, since a panic that reached the library would abort the process, and
/// that ends walks which lead nowhere.
pub(super) struct Filter<'a, 'b> {
    state: RefCell<State<'a, 'b>>,
}

struct State<'a, 'b> {
    accept: &'a mut Accept<'b>,
    /// How many slots may still be asked for.
    left: u32,
    outcome: Outcome,
    panicked: Option<Box<dyn Any + Send>>,
}

impl<'a, 'b> Filter<'a, 'b> {
    /// A filter that is asked for `questions` slots at most.
    pub(super) fn new(accept: &'a mut Accept<'b>, questions: u32) -> Self {
        let (left, outcome, panicked) = (questions, Outcome::Answered, None);
        Self { state: RefCell::new(State { accept, left, outcome, panicked }) }
    }

    /// What the filter says of a slot. Once it panicked or was asked too often it takes everything: the
    /// walk is soon full and ends, and its result is thrown away.
    pub(super) fn ask(&self, slot: u32) -> bool {
        // The library asks from the one thread that searches, and a filter cannot ask itself.
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return true;
        };
        if state.panicked.is_some() || state.left == 0 {
            state.outcome = Outcome::Exhausted;
            return true;
        }
        state.left -= 1;
        let accept = AssertUnwindSafe(|| (state.accept)(slot));
        match catch_unwind(accept) {
            Ok(taken) => taken,
            Err(payload) => {
                state.panicked = Some(payload);
                true
            }
        }
    }

    /// How it went.
    pub(super) fn finish(self) -> Result<Outcome, SegmentError> {
        let state = self.state.into_inner();
        let Some(payload) = state.panicked else {
            return Ok(state.outcome);
        };
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let message = text.unwrap_or_else(|| "without a message".to_owned());
        Err(SegmentError::FilterPanicked { message })
    }
}
