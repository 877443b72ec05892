//! What the numbers of a run say so far, in lines for a terminal of any width.

use std::time::Duration;

use super::clock::{Length, duration};
use super::log::Line;

/// Characters of a small curve.
const CURVE: usize = 24;
/// Its heights, lowest first.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Losses shown, the sum among them.
const MOST_LOSSES: usize = 10;
/// Numbers of a line that are no losses, or are shown elsewhere.
const NO_LOSSES: [&str; 6] = ["step", "seconds", "lr", "images_per_second", "grad_norm", "pictures"];
/// Measurements, as they are called in the log, for people, and their unit.
const MEASURED: [(&str, &str, &str); 2] = [("psnr", "PSNR", " dB"), ("held_out_loss", "loss", "")];

/// What is true at this moment and in no log.
pub struct Now {
    /// Updates done.
    pub step: u64,
    /// Length of the run.
    pub length: Length,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Seconds that are left; not a number while nothing tells.
    pub left: f64,
    /// Step of the newest checkpoint, and its age if this process wrote it.
    pub saved: Option<(u64, Option<Duration>)>,
    /// Whether a checkpoint that was due could not be written.
    pub unsaved: bool,
    /// What is being done besides training.
    pub aside: Option<&'static str>,
}

/// All the numbers of a run's log.
#[derive(Default)]
pub struct Story {
    /// Losses in the order of the lines, each with its values.
    losses: Vec<(String, Vec<f64>)>,
    norm: Vec<f64>,
    rate: Option<f64>,
    images_per_second: Option<f64>,
    /// Step and values of a measurement.
    measured: Vec<(u64, &'static str, &'static str, f64)>,
}

impl Story {
    /// Takes in a line of the log.
    pub fn learn(&mut self, step: u64, line: &Line) {
        let number = |name: &str| line.get(name).and_then(serde_json::Value::as_f64);
        for (key, name, unit) in MEASURED {
            self.measured.extend(number(key).map(|value| (step, name, unit, value)));
        }
        if !line.contains_key("loss") {
            return;
        }
        self.norm.extend(number("grad_norm"));
        self.rate = number("lr").or(self.rate);
        self.images_per_second = number("images_per_second").or(self.images_per_second);
        let parts = line.keys().map(String::as_str).filter(|name| *name != "loss" && !NO_LOSSES.contains(name));
        for name in std::iter::once("loss").chain(parts) {
            let Some(value) = number(name) else { continue };
            match self.losses.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => self.losses.push((name.to_owned(), vec![value])),
            }
        }
    }

    /// The newest measurement, how it differs from the one before, and its step.
    pub fn newest(&self) -> Option<(String, u64)> {
        let (step, name, unit, value) = *self.measured.last()?;
        let digits = if unit.is_empty() { 4 } else { 2 };
        let before = self.measured.iter().rev().skip(1).find(|(_, other, ..)| *other == name);
        let change = before.map_or_else(String::new, |(.., before)| format!(" ({:+.digits$})", value - before));
        Some((format!("{name} {value:.digits$}{unit}{change}"), step))
    }

    /// The lines, the most important part of each first: a narrow terminal cuts their ends off.
    pub fn lines(&self, now: &Now) -> Vec<String> {
        let left = now.left;
        let step = match now.length {
            Length::Steps(steps) => format!("step {} of {steps}, {} left", now.step, duration(left)),
            Length::Seconds(_) => format!("step {}, {} left", now.step, duration(left)),
        };
        let speed = self.images_per_second.map_or_else(String::new, |speed| format!(", {} images/s", digits(speed)));
        let mut lines = vec![step, format!("{} so far{speed}", duration(now.seconds))];
        for (name, values) in self.losses.iter().take(MOST_LOSSES) {
            lines.push(row(name, values));
        }
        if !self.norm.is_empty() {
            lines.push(row("gradient", &self.norm));
        }
        lines.extend(self.rate.map(|rate| format!("{:<10}{rate:.2e}", "lr")));
        lines.extend(self.newest().map(|(newest, step)| format!("{:<10}{newest} at {step}", "held-out")));
        let saved = match now.saved {
            Some((step, Some(age))) => format!("step {step}, {} ago", duration(age.as_secs_f64())),
            Some((step, None)) => format!("step {step}, by an earlier start"),
            None => "nothing yet".into(),
        };
        let saved = if now.unsaved { format!("FAILED; last: {saved}") } else { saved };
        lines.push(format!("{:<10}{saved}", "saved"));
        lines.push(now.aside.unwrap_or("Ctrl-C saves and stops").to_owned());
        lines
    }
}

/// Name, newest value, where it is going, small curve.
fn row(name: &str, values: &[f64]) -> String {
    let name: String = name.replace('_', " ").chars().take(9).collect();
    let newest = values.last().copied().unwrap_or(f64::NAN);
    format!("{name:<10}{:<8} {:<7} {}", digits(newest), trend(values), curve(values)).trim_end().to_owned()
}

/// Three digits or more of a number of any size.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.001 || size == 0.0 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// By how much the last eighth of the values is above or below the eighth before.
fn trend(values: &[f64]) -> String {
    let eighth = (values.len() / 8).max(1);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let Some(before) = values.len().checked_sub(2 * eighth) else { return String::new() };
    let (before, after) = (mean(&values[before..before + eighth]), mean(&values[values.len() - eighth..]));
    let change = 100.0 * (after - before) / before.abs();
    if !change.is_finite() {
        return String::new();
    }
    match change.round() {
        0.0 => "→".into(),
        up if up > 0.0 => format!("↑ {:.0} %", up.min(999.0)),
        down => format!("↓ {:.0} %", -down),
    }
}

/// The whole course of the values in a few characters; of positive ones, their logarithms.
fn curve(values: &[f64]) -> String {
    let sound: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let positive = sound.iter().all(|value| *value > 0.0);
    let width = sound.len().min(CURVE);
    let points: Vec<f64> = (0..width)
        .map(|at| {
            let part = &sound[at * sound.len() / width..(at + 1) * sound.len() / width];
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            if positive { mean.ln() } else { mean }
        })
        .collect();
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let height = |value: &f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        HEIGHTS[(share * (HEIGHTS.len() - 1) as f64).round() as usize]
    };
    points.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn story() -> Story {
        let mut story = Story::default();
        for step in 1..=16u64 {
            let loss = 1.0 / step as f64;
            let line = json!({ "step": step, "loss": loss, "mse": loss / 2.0, "grad_norm": 0.5, "lr": 1e-4,
                "images_per_second": 15.25, "seconds": step });
            story.learn(step, line.as_object().unwrap());
        }
        for (step, psnr) in [(8, 20.0), (16, 21.5)] {
            story.learn(step, json!({ "step": step, "psnr": psnr, "pictures": 9 }).as_object().unwrap());
        }
        story
    }

    #[test]
    fn a_person_sees_where_the_run_is_and_where_it_goes() {
        let now = Now {
            step: 16,
            length: Length::Steps(32),
            seconds: 125.0,
            left: 125.0,
            saved: Some((10, Some(Duration::from_secs(61)))),
            unsaved: false,
            aside: None,
        };
        let lines = story().lines(&now);
        assert_eq!(
            lines,
            [
                "step 16 of 32, 2 min 05 s left",
                "2 min 05 s so far, 15.2 images/s",
                "loss      0.0625   ↓ 13 %  █▆▅▅▄▃▃▃▂▂▂▂▂▁▁▁",
                "mse       0.0312   ↓ 13 %  █▆▅▅▄▃▃▃▂▂▂▂▂▁▁▁",
                "gradient  0.5000   →       ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁",
                "lr        1.00e-4",
                "held-out  PSNR 21.50 dB (+1.50) at 16",
                "saved     step 10, 1 min 01 s ago",
                "Ctrl-C saves and stops",
            ]
        );
        let failing = story().lines(&Now { unsaved: true, aside: Some("measuring …"), ..now });
        assert_eq!(failing[7], "saved     FAILED; last: step 10, 1 min 01 s ago");
        assert_eq!(failing[8], "measuring …");
    }

    #[test]
    fn curves_of_any_length_and_of_broken_numbers_fit() {
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(curve(&long).chars().count(), CURVE);
        assert!(curve(&long).starts_with('▁') && curve(&long).ends_with('█'));
        assert_eq!(curve(&[f64::NAN]), "");
        assert_eq!(curve(&[2.0, f64::NAN, 2.0]), "▁▁");
        assert_eq!(trend(&[f64::NAN, 1.0]), "");
        assert_eq!(trend(&[0.001, 1.0]), "↑ 999 %");
    }
}
