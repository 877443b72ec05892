//! Asking a run to end early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request that a run end at the next update, with a checkpoint; made by another thread or a signal handler.
///
/// Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Makes the request.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was made.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What a signal handler raises to make it.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Whether somebody asked is no setting: settings that hold a request are equal all the same.
impl PartialEq for Stop {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
