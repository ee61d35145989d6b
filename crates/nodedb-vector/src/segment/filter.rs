//! A caller's filter on its way through foreign code.

use super::{error::SegmentError, graph::Accept};
use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A filter that never unwinds: a panic that reached the library would abort the process.
pub(super) struct Filter<'a, 'b> {
    state: RefCell<State<'a, 'b>>,
}

struct State<'a, 'b> {
    accept: &'a mut Accept<'b>,
    panicked: Option<Box<dyn Any + Send>>,
}

impl<'a, 'b> Filter<'a, 'b> {
    pub(super) fn new(accept: &'a mut Accept<'b>) -> Self {
        Self { state: RefCell::new(State { accept, panicked: None }) }
    }

    /// What the filter says of a slot. After a panic it takes everything, which ends the walk soonest;
    /// the result is thrown away.
    pub(super) fn ask(&self, slot: u64) -> bool {
        // Neither can fail: the library calls from the one thread that searches, with slots it was given.
        let (Ok(mut state), Ok(slot)) = (self.state.try_borrow_mut(), u32::try_from(slot)) else {
            return false;
        };
        if state.panicked.is_some() {
            return true;
        }
        let accept = AssertUnwindSafe(|| (state.accept)(slot));
        match catch_unwind(accept) {
            Ok(taken) => taken,
            Err(payload) => {
                state.panicked = Some(payload);
                true
            }
        }
    }

    /// Whether the filter came through the search.
    pub(super) fn finish(self) -> Result<(), SegmentError> {
        let Some(payload) = self.state.into_inner().panicked else {
            return Ok(());
        };
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let message = text.unwrap_or_else(|| "without a message".to_owned());
        Err(SegmentError::FilterPanicked { message })
    }
}
