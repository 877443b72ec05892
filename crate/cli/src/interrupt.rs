//! Ctrl-C while a run trains: the first ends it with a checkpoint, the second ends the process.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};
use maetok::train::Summary;
use maetok::train::stop::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit status of a run that was stopped: what a shell gives a program that ended by Ctrl-C, so that what should follow
/// a whole run (`&&`) does not follow this one.
pub const STATUS: u8 = 130;
/// Exit status of a process that was told to end twice, the second time by SIGTERM.
const TERMINATED: i32 = 143;

/// From now on, Ctrl-C and SIGTERM request `stop`; once it is requested, they end the process.
///
/// # Errors
/// If the system does not let signals be handled.
pub fn watch(stop: &Stop) -> Result<()> {
    for (signal, status) in [(SIGINT, i32::from(STATUS)), (SIGTERM, TERMINATED)] {
        // In this order: the first signal finds no request yet.
        flag::register_conditional_shutdown(signal, status, stop.flag())
            .and_then(|_| flag::register(signal, stop.flag()))
            .context("Ctrl-C cannot be handled here")?;
    }
    Ok(())
}

/// A run that was stopped, where it stands, and how to go on with it.
#[derive(Debug)]
pub struct Stopped(String);

impl Stopped {
    /// Of a run that trains `what` into `out`.
    pub fn new(summary: &Summary, what: &str, out: &Path) -> Self {
        let place = match summary.state.step {
            0 => "before the first update".to_owned(),
            step => format!("at step {step}, which is saved in {}", summary.checkpoint.display()),
        };
        let command = format!("maetok train {what} --out {} --resume", quoted(&out.display().to_string()));
        Self(format!("Stopped {place}; this goes on with it: {command}"))
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stopped {}

/// A path that a shell takes as one word.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%=".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        assert_eq!(quoted("runs/tok-2"), "runs/tok-2");
        assert_eq!(quoted("my runs/it's"), "'my runs/it'\\''s'");
    }
}
