//! What both trainers, and what they are made of, ask of settings.

use super::drive::Pace;
use super::optimiser::AdamW;
use super::schedule::Schedule;
use crate::{Error, Result};

/// Settings that both trainers have.
pub struct Common<'a> {
    pub batch: usize,
    pub schedule: &'a Schedule,
    pub adamw: &'a AdamW,
    pub clip: f64,
    pub ema: f64,
    pub pace: &'a Pace,
    pub evaluate_pictures: usize,
}

impl Common<'_> {
    /// # Errors
    /// [`Error::Setting`] for the first that makes no sense.
    pub fn validate(&self) -> Result<()> {
        check_positive(&[
            ("batch", self.batch as f64),
            ("clip", self.clip),
            ("steps", self.pace.steps as f64),
            ("minutes", self.pace.minutes.unwrap_or(1.0)),
            ("evaluate-pictures", self.evaluate_pictures as f64),
        ])?;
        self.schedule.validate()?;
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::setting("ema", self.ema, "at least 0 and below 1"));
        }
        self.adamw.validate()
    }
}

/// Refuses settings that are not positive numbers.
///
/// # Errors
/// [`Error::Setting`] for the first that is not.
pub fn check_positive(settings: &[(&'static str, f64)]) -> Result<()> {
    match settings.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
        Some((name, value)) => Err(Error::setting(name, value, "a positive number")),
        None => Ok(()),
    }
}

/// Refuses settings that are negative or no numbers.
///
/// # Errors
/// [`Error::Setting`] for the first that is.
pub fn check_not_negative(settings: &[(&'static str, f64)]) -> Result<()> {
    match settings.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
        Some((name, value)) => Err(Error::setting(name, value, "a number that is not negative")),
        None => Ok(()),
    }
}
