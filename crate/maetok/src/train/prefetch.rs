//! Batches made ahead on a thread of their own, so that the model never waits for pictures.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::{Error, Result};

/// Batches ready and waiting; more would only cost memory.
const AHEAD: usize = 2;

/// Makes the batches of steps `first`, `first + 1`, … ahead of their use.
pub struct Prefetch<T> {
    batches: Receiver<(u64, T)>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts with the batch of step `first`.
    ///
    /// # Errors
    /// [`Error::Training`] if the system gives no thread.
    pub fn new(first: u64, mut make: impl FnMut(u64) -> T + Send + 'static) -> Result<Self> {
        let (send, batches) = sync_channel(AHEAD);
        thread::Builder::new()
            .name("batches".into())
            .spawn(move || {
                // Ends when the trainer is gone and nobody receives any more.
                let _ = (first..).try_for_each(|step| send.send((step, make(step))));
            })
            .map_err(|source| {
                Error::training(format!("The thread that makes the batches could not be started: {source}"))
            })?;
        Ok(Self { batches })
    }

    /// The next batch, which must be that of `step`.
    ///
    /// # Panics
    /// If steps are left out, or the thread panicked.
    pub fn next(&self, step: u64) -> T {
        let (made_for, batch) = self.batches.recv().expect("the batch thread has ended");
        assert_eq!(made_for, step, "batches must be taken in order");
        batch
    }
}
