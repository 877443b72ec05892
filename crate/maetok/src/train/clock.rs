//! How long a run is and how long it has trained.

use std::time::Instant;

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// After so many updates.
    Steps(u64),
    /// After so many seconds of training, interruptions not counted.
    Seconds(f64),
}

impl Length {
    /// From the two settings: minutes win over steps.
    pub fn new(steps: u64, minutes: Option<f64>) -> Self {
        minutes.map_or(Self::Steps(steps), |minutes| Self::Seconds(minutes * 60.0))
    }

    /// Share of the run that is over, 0 to 1.
    pub fn progress(self, step: u64, seconds: f64) -> f64 {
        let share = match self {
            Self::Steps(steps) => step as f64 / steps.max(1) as f64,
            Self::Seconds(total) => seconds / total.max(1e-9),
        };
        share.clamp(0.0, 1.0)
    }
}

/// Training time: goes on where an earlier process stopped, and stands still while paused.
pub struct Clock {
    before: f64,
    since: Instant,
}

impl Clock {
    /// A clock that shows `before` seconds now.
    pub fn starting_at(before: f64) -> Self {
        Self { before, since: Instant::now() }
    }

    /// Seconds of training so far.
    pub fn seconds(&self) -> f64 {
        self.before + self.since.elapsed().as_secs_f64()
    }
}

/// Seconds in words.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".into();
    }
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_bounded_by_time_is_over_when_the_time_is() {
        let length = Length::new(10, Some(2.0));
        assert_eq!(length.progress(1_000_000, 60.0), 0.5);
        assert_eq!(length.progress(0, 200.0), 1.0);
        assert_eq!(Length::new(10, None).progress(5, 1e9), 0.5);
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(59.9), "59 s");
        assert_eq!(duration(125.0), "2 min 05 s");
        assert_eq!(duration(7260.0), "2 h 01 min");
    }
}
