//! What a person sees while a run goes on, and what stays of it: a bar or plain lines, and the JSONL log.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::run_folder::{RunFolder, at};
use crate::Result;

/// Units of the bar: thousandths of the run, which may be bounded by steps or by time.
const UNITS: u64 = 1000;

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

/// Sums of a log interval.
#[derive(Default)]
struct Interval {
    steps: u64,
    images: u64,
    sums: Map<String, Value>,
}

/// A bar for something that is done before or after training; hidden if `quiet` or where no person looks.
pub fn bar(length: u64, what: &str, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}, {eta} left");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what.to_owned())
}

/// Reports a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    log: File,
    folder: RunFolder,
    interval: Interval,
    interval_start: Instant,
    line_every: Duration,
    last_line: Option<Instant>,
}

impl Progress {
    /// Starts reporting into `folder`, whose log is cut after `step`. With `quiet`, nothing is shown.
    pub fn new(folder: &RunFolder, step: u64, quiet: bool) -> Result<Self> {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(UNITS);
            let template = "{bar:30} {percent:>3} %  {msg}";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Ok(Self {
            bar,
            log: folder.open_log(step)?,
            folder: folder.clone(),
            interval: Interval::default(),
            interval_start: Instant::now(),
            line_every: if quiet { Duration::MAX } else { Duration::from_secs(20) },
            last_line: None,
        })
    }

    /// Adds a step's numbers to the running interval; they are averaged when it is written.
    pub fn add(&mut self, images: usize, values: &[(&str, f64)]) {
        self.interval.steps += 1;
        self.interval.images += images as u64;
        for (name, value) in values {
            let sum = self.interval.sums.get(*name).and_then(Value::as_f64).unwrap_or(0.0) + value;
            self.interval.sums.insert((*name).to_owned(), sum.into());
        }
    }

    /// Leaves out of the speed whatever happened since the last call that was not training.
    pub fn pause(&mut self, paused: Duration) {
        self.interval_start += paused;
    }

    /// Writes the interval's means to the log and shows them.
    ///
    /// `fixed` are values of this moment (learning rate), not averaged.
    pub fn write_interval(&mut self, step: u64, seconds: f64, progress: f64, fixed: &[(&str, f64)]) -> Result<()> {
        if self.interval.steps == 0 {
            return Ok(());
        }
        let interval = std::mem::take(&mut self.interval);
        let images_per_second = interval.images as f64 / self.interval_start.elapsed().as_secs_f64().max(1e-9);
        self.interval_start = Instant::now();

        let mut line = Map::new();
        let mut put = |name: &str, value: f64| line.insert(name.to_owned(), rounded(value));
        put("seconds", seconds);
        for (name, sum) in &interval.sums {
            put(name, sum.as_f64().unwrap_or(f64::NAN) / interval.steps as f64);
        }
        for (name, value) in fixed {
            put(name, *value);
        }
        put("images_per_second", images_per_second);

        let loss = line.get("loss").and_then(Value::as_f64).unwrap_or(f64::NAN);
        let left = if progress > 0.0 { seconds * (1.0 - progress) / progress } else { f64::NAN };
        let text = format!("step {step}  loss {loss:.4}  {images_per_second:.0} images/s  {} left", duration(left));
        match &self.bar {
            Some(bar) => {
                bar.set_position((progress * UNITS as f64) as u64);
                bar.set_message(text);
            }
            None if self.last_line.is_none_or(|last| last.elapsed() >= self.line_every)
                && self.line_every != Duration::MAX =>
            {
                self.last_line = Some(Instant::now());
                say(&format!("{:3.0} %  {text}", progress * 100.0));
            }
            None => {}
        }
        self.event(step, line)
    }

    /// Writes one object to the log.
    pub fn event(&mut self, step: u64, fields: Map<String, Value>) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".into(), step.into());
        line.extend(fields);
        writeln!(self.log, "{}", Value::Object(line)).map_err(at(&self.folder.path("log.jsonl")))
    }

    /// Shows a sentence above the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.line_every != Duration::MAX => say(text),
            None => {}
        }
    }

    /// Ends the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

/// Lines go where the bar would have been. A closed standard error is no reason to lose a run.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Six significant digits: what the log needs, and short to read. JSON has no NaN: that becomes null.
fn rounded(value: f64) -> Value {
    format!("{value:.5e}").parse::<f64>().map_or(Value::Null, Value::from)
}

fn duration(seconds: f64) -> String {
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
    fn the_log_holds_means_over_the_interval() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(dir.path(), false).unwrap();
        let mut progress = Progress::new(&folder, 0, true).unwrap();
        progress.add(4, &[("loss", 1.0)]);
        progress.add(4, &[("loss", 2.0)]);
        progress.write_interval(2, 3.0, 0.5, &[("lr", 0.25)]).unwrap();
        let text = std::fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
        let line: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (line["step"].as_u64(), line["loss"].as_f64(), line["lr"].as_f64()),
            (Some(2), Some(1.5), Some(0.25))
        );
        assert!(line["images_per_second"].as_f64().unwrap() > 0.0);
    }

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
