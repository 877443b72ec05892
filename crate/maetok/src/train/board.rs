//! The dashboard of a run in a terminal: a bar with lines below it that are redrawn in place.
//!
//! Every line is a bar of its own without a bar: `indicatif` then cuts each to the width the terminal has now.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Units of the bar: thousandths of the run, which may be bounded by steps or by time.
const UNITS: u64 = 1000;

/// Lines at the bottom of a terminal.
pub struct Board {
    all: MultiProgress,
    /// An empty line. A terminal that shows `^C` breaks a line by it, and what was the topmost line then stays.
    space: ProgressBar,
    bar: ProgressBar,
    lines: Vec<ProgressBar>,
}

impl Board {
    /// An empty one; none where stderr is no terminal, or one that cannot move its cursor.
    pub fn new() -> Option<Self> {
        if !is_for_people() {
            return None;
        }
        let all = MultiProgress::new();
        let space = all.add(ProgressBar::new(UNITS).with_style(style("{wide_msg}")));
        let bar = all.add(ProgressBar::new(UNITS).with_style(style("{wide_bar:.cyan/bright.black} {percent:>3} %")));
        Some(Self { all, space, bar, lines: Vec::new() })
    }

    /// Shows these lines below a bar of which `share` is done.
    pub fn show(&mut self, share: f64, lines: &[String]) {
        self.space.set_position((share * UNITS as f64) as u64);
        self.bar.set_position((share * UNITS as f64) as u64);
        while self.lines.len() < lines.len() {
            self.lines.push(self.all.add(ProgressBar::new(UNITS).with_style(style("{wide_msg}"))));
        }
        while self.lines.len() > lines.len() {
            if let Some(line) = self.lines.pop() {
                self.all.remove(&line);
            }
        }
        for (line, text) in self.lines.iter().zip(lines) {
            // Each change draws everything anew.
            if line.message() != *text {
                line.set_message(text.clone());
            }
        }
    }

    /// Shows a sentence above, where it stays.
    pub fn say(&self, text: &str) {
        // Nobody is left to hear that the terminal is gone.
        let _ = self.all.println(text);
    }

    /// Leaves the lines as they are. From top to bottom: a line that ends above others that still may change would be
    /// drawn twice.
    pub fn finish(&self) {
        for line in [&self.space, &self.bar].into_iter().chain(&self.lines) {
            line.abandon();
        }
    }
}

/// A bar for something that is done before or after training; hidden if `quiet` or where no person looks.
pub fn bar(length: u64, what: &str, quiet: bool) -> ProgressBar {
    if quiet || !is_for_people() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(length)
        .with_style(style("{bar:12} {pos} of {len} {msg}, {eta} left"))
        .with_message(what.to_owned())
}

/// Whether stderr is a terminal that can redraw its lines.
fn is_for_people() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
