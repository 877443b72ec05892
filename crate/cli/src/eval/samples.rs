//! `maetok eval samples`: samples, or a folder of pictures, beside held-out pictures.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use maetok::Error;
use maetok::measure::Mix;
use maetok::measure::novelty::{Nearness, Spread};
use maetok::measure::samples::{self, Against, Report, Set, Settings};
use maetok::measure::verdict::Share;

use super::{Common, interval};
use crate::sampling::Sampling;
use crate::settings::number;
use crate::{files, progress};

/// Flags that say how to sample: of no use for pictures that are there.
const DRAWING: [&str; 7] = ["samples", "seed", "steps", "sampler", "guidance", "interval", "keep"];

/// Arguments of `maetok eval samples`.
#[derive(Args)]
pub struct Samples {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    sampling: Sampling,
    /// Samples with and as many without guidance, 10 or more [default: as many as held-out pictures, at most 2000].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<usize>("samples", "from 10 to 100000"))]
    samples: Option<usize>,
    /// How strongly to insist on the class, 1 (not at all) to 20; guidance 1 is measured beside it.
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true,
        value_parser = number::<f64>("guidance", "a number from 1 (off) to 20"))]
    guidance: f64,
    /// Times between which guidance applies; 1 is noise, 0 is the picture.
    #[arg(long, value_name = "LOW,HIGH", default_value = "0,1", allow_hyphen_values = true, value_parser = interval)]
    interval: [f64; 2],
    /// Training pictures that sets are judged by, 10 or more; more than there are counts as all.
    #[arg(long, value_name = "N", default_value_t = 6000, allow_negative_numbers = true,
        value_parser = number::<usize>("fit", "a number of pictures, 10 or more"))]
    fit: usize,
    /// Whose shares the classes have in the samples and in those training pictures: held-out, balanced or training.
    #[arg(long, value_name = "NAME", default_value = "held-out")]
    mix: String,
    /// What gFID is the distance to: training or held-out.
    #[arg(long, value_name = "NAME", default_value = "training")]
    against: String,
    /// Judge the pictures class/*.png of this folder instead of samples of the model.
    #[arg(long, value_name = "DIR", conflicts_with_all = DRAWING)]
    pictures: Option<PathBuf>,
    /// Keep the samples here, as guidance-2/class/seed.png.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Samples) -> Result<()> {
    let settings = Settings {
        samples: arguments.samples,
        // Of no class in particular: the mix says which.
        sampling: arguments.sampling.request(0, arguments.guidance, arguments.interval)?,
        fit: arguments.fit,
        mix: arguments.mix.parse::<Mix>()?,
        against: arguments.against.parse::<Against>()?,
        pictures: arguments.pictures.clone(),
        keep: arguments.keep.clone(),
    };
    if let Some(pictures) = &arguments.pictures {
        files::check_folder(pictures, "--pictures")?;
    }
    let bench = arguments.common.bench()?;
    settings.validate(&bench.pipeline)?;
    if let Some(keep) = &arguments.keep {
        fs::create_dir_all(keep).map_err(|e| Error::write(keep.display(), e))?;
    }
    let data = arguments.common.data(&bench.pipeline)?;
    let shown = progress::Told::default();
    let report = samples::measure(&bench.pipeline, &bench.judge, &data, &settings, &|told| shown.tell(told))?;
    shown.clear();
    report.notices.iter().for_each(|notice| files::say(notice));
    if arguments.common.json {
        return files::print(&serde_json::to_string_pretty(&report)?);
    }
    files::print(&tables(&report, &bench.title))
}

fn tables(report: &Report, title: &str) -> String {
    let mut lines = vec![heading(report, title), String::new()];
    lines.extend(quality(report));
    lines.push(String::new());
    lines.extend(nearness(report));
    lines.push(String::new());
    let groups = |set: &Set| set.verdict.accuracy.groups.iter().chain(&set.verdict.accuracy.classes).cloned().collect();
    lines.extend(accuracies(report, groups));
    lines.join("\n")
}

fn heading(report: &Report, title: &str) -> String {
    let Report { reference, training, feature_side, .. } = report;
    let drawn = report.sampling.as_ref().map_or_else(String::new, |sampling| {
        let (low, high) = sampling.interval;
        let kind = format!("{:?}", sampling.sampler).to_lowercase();
        format!("; seeds from {}, {} {kind} steps, guidance from {low} to {high}", sampling.seed, sampling.steps)
    });
    let mix = match report.mix {
        Mix::HeldOut => "the held-out pictures' shares of the classes",
        Mix::Balanced => "all classes alike",
        Mix::Training => "the training pictures' shares of the classes",
    };
    let against = match report.against {
        Against::Training => "to these training pictures",
        Against::HeldOut => "to the held-out pictures",
    };
    format!(
        "{title}{drawn}\n\
         judged by {reference} of {training} training pictures, {mix}; EfficientNet-Lite0 at {feature_side} px; gFID {against}"
    )
}

fn quality(report: &Report) -> Vec<String> {
    let header = format!(
        "{:<24} {:>8} {:>8} {:>10} {:>7} {:>9} {:>11}",
        "set", "pictures", "gFID", "precision", "recall", "accuracy", "of classes"
    );
    let row = |set: &Set| {
        let verdict = &set.verdict;
        let frechet = verdict.frechet.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        format!(
            "{:<24} {:>8} {frechet:>8} {:>10.3} {:>7.3} {:>9.3} {:>11.3}",
            set.name,
            verdict.pictures,
            verdict.precision,
            verdict.recall,
            verdict.accuracy.overall,
            verdict.accuracy.mean_of_classes
        )
    };
    std::iter::once(header).chain(report.sets.iter().map(row)).collect()
}

fn nearness(report: &Report) -> Vec<String> {
    let mut lines = vec![
        "nearest training picture: 1 % and half of the distances are at most so far, by features and by pixels (of 255);"
            .to_owned(),
        "share nearer than 1 % of held-out pictures, decoded too, are; copies where either is more than chance allows"
            .to_owned(),
        format!(
            "{:<24} {:<9} {:>14} {:>13} {:>18} {:>16} {:>8} {:>7}",
            "set", "group", "features", "pixels", "nearer by features", "nearer by pixels", "allowed", "copies"
        ),
    ];
    let row = |name: &str, near: &Nearness| {
        let spread = |spread: Spread| format!("{:.2} {:.2}", spread.lowest, spread.median);
        format!(
            "{name:<24} {:<9} {:>14} {:>13} {:>18.3} {:>16.3} {:>8.3} {:>7}",
            near.group,
            spread(near.features),
            spread(near.pixels),
            near.nearer_by_features,
            near.nearer_by_pixels,
            near.allowed,
            if near.copies { "yes" } else { "no" }
        )
    };
    lines.extend(report.sets.iter().flat_map(|set| set.nearness.iter().map(|near| row(&set.name, near))));
    lines
}

/// A row for every group and class, a column for every set.
fn accuracies(report: &Report, shares: impl Fn(&Set) -> Vec<Share>) -> Vec<String> {
    let columns: Vec<Vec<Share>> = report.sets.iter().map(shares).collect();
    let mut names: Vec<&str> = Vec::new();
    for share in columns.iter().flatten() {
        if !names.contains(&share.name.as_str()) {
            names.push(&share.name);
        }
    }
    let header: String = report.sets.iter().map(|set| format!(" {:>24}", set.name)).collect();
    let row = |name: &&str| {
        let cell = |column: &Vec<Share>| {
            let share = column.iter().find(|share| share.name == **name);
            let text =
                share.map_or_else(|| "-".to_owned(), |share| format!("{:.3} of {}", share.share, share.pictures));
            format!(" {text:>24}")
        };
        format!("{name:<28}{}", columns.iter().map(cell).collect::<String>())
    };
    std::iter::once(format!("{:<28}{header}", "accuracy")).chain(names.iter().map(row)).collect()
}
