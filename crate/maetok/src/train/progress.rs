//! What a person sees while a run goes on, and what stays of it: a dashboard or plain lines, and the JSONL log.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::board::Board;
use super::clock::{Clock, Length, duration};
use super::log::{Line, Log};
use super::run_folder::{LOG, RunFolder};
use super::story::{Now, Story};
use crate::Result;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(20);

/// Sums of a log interval.
#[derive(Default)]
struct Interval {
    steps: u64,
    images: u64,
    sums: Map<String, Value>,
}

/// Where a person looks.
enum Shown {
    Nothing,
    /// Plain lines, the last one at that time.
    Lines(Option<Instant>),
    Board(Board),
}

/// Reports a run.
pub struct Progress {
    shown: Shown,
    length: Length,
    clock: Clock,
    step: u64,
    story: Story,
    log: Log,
    log_failed: bool,
    interval: Interval,
    interval_start: Instant,
    /// Step of the newest checkpoint, and when this process wrote it.
    saved: Option<(u64, Option<Instant>)>,
    unsaved: bool,
    /// How far the run was, from 0 to 1, and after how many seconds, when it was started or taken up again.
    began: (f64, f64),
}

impl Progress {
    /// Starts reporting into `folder`, whose log is cut after `step`; `seconds` of training came before. With `quiet`,
    /// nothing is shown.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the log cannot be opened.
    pub fn new(folder: &RunFolder, length: Length, step: u64, seconds: f64, quiet: bool) -> Result<Self> {
        let shown = match (quiet, Board::new()) {
            (true, _) => Shown::Nothing,
            (false, Some(board)) => Shown::Board(board),
            (false, None) => Shown::Lines(None),
        };
        let (log, before) = Log::open(&folder.path(LOG), step)?;
        let mut story = Story::default();
        for line in &before {
            story.learn(line["step"].as_u64().unwrap_or_default(), line);
        }
        let mut progress = Self {
            shown,
            length,
            clock: Clock::starting_at(seconds),
            step,
            story,
            log,
            log_failed: false,
            interval: Interval::default(),
            interval_start: Instant::now(),
            saved: (step > 0).then_some((step, None)),
            unsaved: false,
            began: (length.progress(step, seconds), seconds),
        };
        progress.draw(None);
        Ok(progress)
    }

    /// Seconds of training so far.
    pub fn seconds(&self) -> f64 {
        self.clock.seconds()
    }

    /// Adds a step's numbers to the running interval; they are averaged when it is written.
    pub fn add(&mut self, step: u64, images: usize, values: &[(&str, f64)]) {
        self.step = step;
        self.interval.steps += 1;
        self.interval.images += images as u64;
        for (name, value) in values {
            let sum = self.interval.sums.get(*name).and_then(Value::as_f64).unwrap_or(0.0) + value;
            self.interval.sums.insert((*name).to_owned(), sum.into());
        }
        self.draw(None);
    }

    /// Leaves out of the speed whatever happened since the last call that was not training.
    pub fn pause(&mut self, paused: Duration) {
        self.interval_start += paused;
    }

    /// Writes the interval's means to the log and shows them.
    ///
    /// `fixed` are values of this moment (learning rate), not averaged.
    pub fn write_interval(&mut self, fixed: &[(&str, f64)]) {
        if self.interval.steps == 0 {
            return;
        }
        let interval = std::mem::take(&mut self.interval);
        let images_per_second = interval.images as f64 / self.interval_start.elapsed().as_secs_f64().max(1e-9);
        self.interval_start = Instant::now();

        let seconds = self.seconds();
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
        self.event(line);
        if let Shown::Lines(last) = &mut self.shown
            && last.is_none_or(|last| last.elapsed() >= LINE_EVERY)
        {
            *last = Some(Instant::now());
            let progress = self.length.progress(self.step, seconds);
            let left = duration(self.left(progress, seconds));
            let (share, step) = (progress * 100.0, self.step);
            say(&format!("{share:3.0} %  step {step}  loss {loss:.4}  {images_per_second:.0} images/s  {left} left"));
        }
    }

    /// Seconds that are left, at the pace of this start of the run: another machine, or one busy with other things, may
    /// have gone before.
    fn left(&self, progress: f64, seconds: f64) -> f64 {
        let (from, began) = self.began;
        let done = progress - from;
        if done > 0.0 { (seconds - began) * (1.0 - progress) / done } else { f64::NAN }
    }

    /// Writes a measurement to the log and says what it found.
    pub fn measured(&mut self, fields: Line) {
        let what = ["psnr", "held_out_loss"].iter().any(|name| fields.contains_key(*name));
        self.event(fields);
        if let Some((newest, step)) = self.story.newest().filter(|_| what) {
            self.say(&format!("step {step}: held-out {newest}"));
        }
    }

    /// Writes one object to the log. One that cannot be written is said once and waits.
    fn event(&mut self, fields: Line) {
        let mut line = Map::new();
        line.insert("step".into(), self.step.into());
        line.extend(fields);
        self.story.learn(self.step, &line);
        let outcome = self.log.append(&line);
        self.logged(outcome);
        self.draw(None);
    }

    /// Makes the log durable.
    pub fn sync(&mut self) {
        let outcome = self.log.sync();
        self.logged(outcome);
    }

    fn logged(&mut self, outcome: Result<()>) {
        match outcome {
            Err(reason) if !self.log_failed => {
                self.log_failed = true;
                self.say(&format!("{reason} Training goes on; the log's lines wait until there is room."));
            }
            Ok(()) if self.log_failed => {
                self.log_failed = false;
                self.say("The log is written again, without a gap.");
            }
            _ => {}
        }
    }

    /// Notes that the checkpoint of `step` is written.
    pub fn saved(&mut self, step: u64) {
        (self.saved, self.unsaved) = (Some((step, Some(Instant::now()))), false);
    }

    /// Notes that a checkpoint could not be written.
    pub fn not_saved(&mut self) {
        self.unsaved = true;
        self.draw(None);
    }

    /// Draws the dashboard as it is now, with what is being done besides training.
    pub fn draw(&mut self, aside: Option<&'static str>) {
        let (step, length, seconds) = (self.step, self.length, self.clock.seconds());
        let share = length.progress(step, seconds);
        let left = self.left(share, seconds);
        let Shown::Board(board) = &mut self.shown else { return };
        let saved = self.saved.map(|(step, at)| (step, at.map(|at| at.elapsed())));
        let now = Now { step, length, seconds, left, saved, unsaved: self.unsaved, aside };
        board.show(share, &self.story.lines(&now));
    }

    /// Says a sentence.
    pub fn say(&self, text: &str) {
        match &self.shown {
            Shown::Board(board) => board.say(text),
            Shown::Lines(_) => say(text),
            Shown::Nothing => {}
        }
    }

    /// Ends the dashboard. Says what the log lacks.
    pub fn finish(&mut self) {
        self.sync();
        if let waiting @ 1.. = self.log.waiting() {
            self.say(&format!("{waiting} lines of the log could not be written and are lost."));
        }
        self.draw(Some("ended"));
        if let Shown::Board(board) = &self.shown {
            board.finish();
        }
    }
}

/// Lines go where the dashboard would have been. A closed standard error is no reason to lose a run.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Six significant digits: what the log needs, and short to read. JSON has no NaN: that becomes null.
fn rounded(value: f64) -> Value {
    format!("{value:.5e}").parse::<f64>().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_reckoned_at_the_pace_since_the_run_was_taken_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(dir.path(), false).unwrap();
        // Forty steps in an hour, on a machine that was busy; then ten in ten seconds.
        let progress = Progress::new(&folder, Length::Steps(100), 40, 3600.0, true).unwrap();
        assert_eq!(progress.left(0.5, 3610.0).round(), 50.0);
        assert!(progress.left(0.4, 3600.0).is_nan());
    }

    #[test]
    fn the_log_holds_means_over_the_interval() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(dir.path(), false).unwrap();
        let mut progress = Progress::new(&folder, Length::Steps(4), 0, 0.0, true).unwrap();
        progress.add(1, 4, &[("loss", 1.0)]);
        progress.add(2, 4, &[("loss", 2.0)]);
        progress.write_interval(&[("lr", 0.25)]);
        let text = std::fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
        let line: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (line["step"].as_u64(), line["loss"].as_f64(), line["lr"].as_f64()),
            (Some(2), Some(1.5), Some(0.25))
        );
        assert!(line["images_per_second"].as_f64().unwrap() > 0.0);
    }
}
