//! The background tasks of a database: named, owned, joined.

use parking_lot::Mutex;
use std::{future::Future, time::Duration};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time};

/// Owns the background tasks of one database.
#[derive(Debug)]
pub struct Tasks {
    runtime: Handle,
    stop: watch::Sender<bool>,
    running: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

/// Tells a task that it should end.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A task that did not end as it should.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskFailure {
    /// It panicked.
    #[error("background task `{task}` panicked")]
    Panicked {
        /// Its name.
        task: &'static str,
    },
    /// It did not end by the deadline and was cancelled.
    #[error("background task `{task}` did not end in time and was cancelled")]
    Overdue {
        /// Its name.
        task: &'static str,
    },
}

impl Tasks {
    /// No tasks yet; they will run on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, stop: watch::Sender::new(false), running: Mutex::default() }
    }

    /// Starts a task.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(Shutdown) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = self.runtime.spawn(task(Shutdown(self.stop.subscribe())));
        self.running.lock().push((name, running));
    }

    /// The tasks that have ended although nobody told them to, which only a panic does.
    pub fn failed(&self) -> Vec<TaskFailure> {
        let running = self.running.lock();
        let ended = running.iter().filter(|(_, task)| task.is_finished() && !*self.stop.borrow());
        ended.map(|(task, _)| TaskFailure::Panicked { task }).collect()
    }

    /// Tells all tasks to end and joins them, within one deadline for all.
    pub async fn close(&self, within: Duration) -> Vec<TaskFailure> {
        self.stop.send_replace(true);
        let deadline = time::Instant::now() + within;
        let running = std::mem::take(&mut *self.running.lock());
        let mut failures = Vec::new();
        for (task, handle) in running {
            let cancel = handle.abort_handle();
            match time::timeout_at(deadline, handle).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => failures.push(TaskFailure::Panicked { task }),
                Err(_) => {
                    cancel.abort();
                    failures.push(TaskFailure::Overdue { task });
                }
            }
        }
        failures
    }
}

impl Shutdown {
    /// Whether the task should end.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the task should end; also when the owner is gone, so that a task whose owner
    /// was dropped ends instead of spinning.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn requested(&mut self) {
        // An error means that the sender is gone, which is a request too.
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime")
    }

    #[test]
    fn close_joins_every_task() {
        let runtime = runtime();
        let tasks = Tasks::new(runtime.handle().clone());
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        tasks.spawn("waiting", |mut shutdown| async move {
            shutdown.requested().await;
            seen.store(true, Ordering::SeqCst);
        });
        assert_eq!(tasks.failed(), []);
        assert_eq!(runtime.block_on(tasks.close(Duration::from_secs(30))), []);
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn a_panic_is_named_and_a_deaf_task_is_cancelled() {
        let runtime = runtime();
        let tasks = Tasks::new(runtime.handle().clone());
        tasks.spawn("broken", |_| async { panic!("as the test wants") });
        tasks.spawn("deaf", |_| std::future::pending());
        let failures = runtime.block_on(tasks.close(Duration::from_millis(50)));
        let expected =
            [TaskFailure::Panicked { task: "broken" }, TaskFailure::Overdue { task: "deaf" }];
        assert_eq!(failures, expected);
    }

    /// The seed of this project span hot when the sender of its shutdown channel was dropped.
    #[test]
    fn a_dropped_owner_is_a_request_to_end() {
        let runtime = runtime();
        let tasks = Tasks::new(runtime.handle().clone());
        let (done, ended) = std::sync::mpsc::channel();
        tasks.spawn("orphan", |mut shutdown| async move {
            shutdown.requested().await;
            done.send(()).expect("the test waits");
        });
        drop(tasks);
        assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Ok(()));
    }
}
