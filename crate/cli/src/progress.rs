//! Progress on stderr: bars for a person at a terminal only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maetok::measure;

use crate::files;

/// A bar over `total` steps. Draws nothing where stderr is not a terminal.
pub fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:32} step {pos}/{len} {eta} left {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What the library tells while it measures: one bar after another at a terminal, and plain lines everywhere.
#[derive(Default)]
pub struct Told {
    shown: Mutex<Option<(&'static str, ProgressBar)>>,
}

impl Told {
    /// Shows it.
    pub fn tell(&self, told: measure::Told) {
        match told {
            measure::Told::Progress { what, done, of } => self.show(what, done, of),
            measure::Told::Estimate(seconds) => self.line(&format!("This takes about {}.", duration(seconds))),
            measure::Told::Tried { done, of, cell } => {
                let (low, high) = cell.interval;
                let (guidance, frechet, accuracy) = (cell.guidance, cell.frechet, cell.accuracy);
                self.line(&format!(
                    "{done} of {of}: guidance {guidance} from {low} to {high}: gFID {frechet:.2}, accuracy {accuracy:.3}"
                ));
            }
        }
    }

    /// Takes away what is shown.
    pub fn clear(&self) {
        if let Some((_, bar)) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, what: &'static str, done: usize, of: usize) {
        let mut shown = self.lock();
        match shown.as_ref() {
            // Parts side by side may tell out of order.
            Some((known, bar)) if *known == what && done > 0 => bar.set_position(bar.position().max(done as u64)),
            _ => {
                if let Some((_, bar)) = shown.take() {
                    bar.finish_and_clear();
                }
                let bar = ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template("{bar:32} {pos} of {len} {msg}, {eta} left");
                let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what);
                bar.set_position(done as u64);
                *shown = Some((what, bar));
            }
        }
    }

    fn line(&self, text: &str) {
        self.clear();
        files::say(text);
    }

    fn lock(&self) -> MutexGuard<'_, Option<(&'static str, ProgressBar)>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds or minutes, whole ones.
fn duration(seconds: f64) -> String {
    let (count, unit) = if seconds < 90.0 { (seconds.ceil(), "second") } else { ((seconds / 60.0).round(), "minute") };
    format!("{count} {unit}{}", if count == 1.0 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_unit_that_suits_them() {
        let said = [0.2, 1.0, 45.2, 89.0, 100.0, 3599.0].map(duration);
        assert_eq!(said, ["1 second", "1 second", "46 seconds", "89 seconds", "2 minutes", "60 minutes"]);
    }
}
