//! The facts at the top of a report.

use std::collections::BTreeSet;

use anyhow::Result;
use maetok::train::provenance::Start;

use super::page::{heads, row};
use super::runs::Run;

/// Characters of a checksum that people compare.
const CHECKSUM: usize = 12;

/// Starts of a run that are told one by one.
const STARTS: usize = 5;

/// A row of facts: what it is, and how to tell it of a run.
type Fact = (&'static str, fn(&Run) -> Option<String>);

const FACTS: [Fact; 10] = [
    ("State", |run| Some(state(run))),
    ("Updates", |run| Some(whole(run.last("seconds")?.0))),
    ("Time of training", |run| Some(time(run.last("seconds")?.1))),
    ("Loss", |run| Some(format!("{:.4}", run.last("loss")?.1))),
    ("Held-out PSNR", |run| {
        let (step, last) = run.last("psnr")?;
        let (at, best) = run.curves["psnr"].iter().copied().fold((step, last), |b, p| if p.1 > b.1 { p } else { b });
        let better = if at == step { String::new() } else { format!(" (best {best:.2} dB, step {})", whole(at)) };
        Some(format!("{last:.2} dB{better}"))
    }),
    ("Held-out loss", |run| Some(format!("{:.4}", run.last("held_out_loss")?.1))),
    ("Seed", |run| Some(run.setting("seed")?.to_owned())),
    ("Pictures", |run| {
        let data = run.setting("data").unwrap_or("?");
        let Some(start) = run.starts.last() else { return Some(data.to_owned()) };
        let sum: String = start.pictures_sha256.chars().take(CHECKSUM).collect();
        Some(format!("{} in {} classes, from {data}, SHA-256 {sum}…", start.pictures, start.classes))
    }),
    ("Device", |run| {
        let on = |start: &Start| match start.device.as_str() {
            "" => start.platform.clone(),
            device => format!("{device}, {}", start.platform),
        };
        let all: BTreeSet<String> = run.starts.iter().map(on).collect();
        (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join("; "))
    }),
    ("Started", |run| {
        let told = |start: &Start| format!("step {}: {}, maetok {}", start.step, start.at, start.maetok);
        let mut all: Vec<String> = run.starts.iter().map(told).collect();
        if all.len() > STARTS {
            let between = all.len() - STARTS;
            all.splice(1..=between, [format!("… {between} more …")]);
        }
        (!all.is_empty()).then(|| all.join("\n"))
    }),
];

/// Writes a table of what there is to know of the runs.
pub fn overview(html: &mut String, runs: &[Run]) -> Result<()> {
    *html += "<h2>Overview</h2><div class=\"scroll\" tabindex=\"0\"><table>";
    heads(html, runs);
    *html += "<tbody>";
    for (name, tell) in FACTS {
        let told: Vec<Option<String>> = runs.iter().map(tell).collect();
        if told.iter().any(Option::is_some) {
            row(html, name, told.iter().map(|fact| fact.as_deref().unwrap_or("–")))?;
        }
    }
    *html += "</tbody></table></div>";
    Ok(())
}

/// Whether a run goes on, has ended, or waits to be resumed, and what resuming would repeat.
fn state(run: &Run) -> String {
    let step = run.last("loss").map_or(0.0, |(step, _)| step);
    let setting = |name: &str| run.setting(name).and_then(|value| value.parse::<f64>().ok());
    let over = match setting("pace.minutes") {
        // The clock is read once more before the last line is written.
        Some(minutes) => run.last("seconds").is_some_and(|(_, seconds)| seconds >= 60.0 * minutes - 1.0),
        None => setting("pace.steps").is_some_and(|steps| step >= steps),
    };
    match (run.goes_on, run.saved.map(|saved| saved as f64)) {
        (true, None) => "goes on; no checkpoint yet".into(),
        (true, Some(saved)) => format!("goes on; newest checkpoint of step {}", whole(saved)),
        (false, None) => "ended without a checkpoint".into(),
        (false, Some(saved)) if saved < step => format!(
            "killed after step {}; the checkpoint is of step {}, resuming repeats {} updates",
            whole(step),
            whole(saved),
            whole(step - saved)
        ),
        (false, Some(_)) if over => "ended".into(),
        (false, Some(saved)) => format!("stopped; can be resumed at step {}", whole(saved)),
    }
}

fn time(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}
