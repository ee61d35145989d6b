//! The thread port.

use std::{any::Any, fmt::Debug, io, thread};

/// Starts named threads. Every one has an owner that joins it.
pub trait Threads: Send + Sync + Debug {
    /// Runs `body` on a thread of that name (the system shows the first 15 bytes).
    ///
    /// # Errors
    /// If the system gives no thread.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<Box<dyn Thread>>;
}

/// A running thread.
pub trait Thread: Send + Sync + Debug {
    /// Whether it has ended.
    fn is_finished(&self) -> bool;

    /// Waits for its end.
    ///
    /// # Errors
    /// What it panicked with.
    fn join(self: Box<Self>) -> Result<(), Box<dyn Any + Send>>;
}

/// The machine's threads.
#[derive(Clone, Copy, Debug)]
pub struct RealThreads;

impl Threads for RealThreads {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter that the others are sent to"
    )]
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<Box<dyn Thread>> {
        let handle = thread::Builder::new().name(name.to_owned()).spawn(body)?;
        Ok(Box::new(RealThread(handle)))
    }
}

#[derive(Debug)]
struct RealThread(thread::JoinHandle<()>);

impl Thread for RealThread {
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    fn join(self: Box<Self>) -> Result<(), Box<dyn Any + Send>> {
        self.0.join()
    }
}
