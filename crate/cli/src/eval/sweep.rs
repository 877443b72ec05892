//! `maetok eval sweep`: guidance scales and intervals, and which is best.

use anyhow::Result;
use clap::Args;
use maetok::measure::Mix;
use maetok::measure::sweep::{self, Cell, Report, Settings};

use super::{Common, interval};
use crate::sampling::Sampling;
use crate::settings::number;
use crate::{files, progress};

/// Arguments of `maetok eval sweep`.
#[derive(Args)]
pub struct Sweep {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    sampling: Sampling,
    /// Samples of each setting, 10 or more: the same noises and classes for all.
    #[arg(long, value_name = "N", default_value_t = 256, allow_negative_numbers = true,
        value_parser = number::<usize>("samples", "from 10 to 100000"))]
    samples: usize,
    /// Guidance scales to try, with commas between; no guidance is always tried.
    #[arg(long, value_name = "X,X", default_value = "1.5,2,3", value_delimiter = ',', allow_hyphen_values = true,
        value_parser = number::<f64>("guidance", "a number from 1 (off) to 20"))]
    guidance: Vec<f64>,
    /// Times between which guidance applies; to be given once for each interval to try [default: 0,1 and 0,0.75 and
    /// 0.15,0.75].
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true, value_parser = interval)]
    interval: Vec<[f64; 2]>,
    /// Training pictures that samples are judged by, 10 or more; more than there are counts as all.
    #[arg(long, value_name = "N", default_value_t = 6000, allow_negative_numbers = true,
        value_parser = number::<usize>("fit", "a number of pictures, 10 or more"))]
    fit: usize,
    /// Whose shares the classes have in the samples and in those training pictures: held-out, balanced or training.
    #[arg(long, value_name = "NAME", default_value = "held-out")]
    mix: String,
}

/// Runs the command.
pub fn run(arguments: &Sweep) -> Result<()> {
    let intervals: Vec<[f64; 2]> = match arguments.interval.as_slice() {
        [] => vec![[0.0, 1.0], [0.0, 0.75], [0.15, 0.75]],
        given => given.to_vec(),
    };
    let settings = Settings {
        samples: arguments.samples,
        // Of no class in particular: the mix says which.
        sampling: arguments.sampling.request(0, 1.0, [0.0, 1.0])?,
        scales: arguments.guidance.clone(),
        intervals: intervals.into_iter().map(Into::into).collect(),
        fit: arguments.fit,
        mix: arguments.mix.parse::<Mix>()?,
    };
    let bench = arguments.common.bench()?;
    settings.validate(&bench.pipeline)?;
    let data = arguments.common.data(&bench.pipeline)?;
    data.notices().iter().for_each(|notice| files::say(notice));
    let shown = progress::Told::default();
    let report = sweep::measure(&bench.pipeline, &bench.judge, &data, &settings, &|told| shown.tell(told))?;
    shown.clear();
    if arguments.common.json {
        return files::print(&serde_json::to_string_pretty(&report)?);
    }
    files::print(&table(&report, &bench.title))
}

fn table(report: &Report, title: &str) -> String {
    let Report { samples, seed, steps, reference, feature_side, .. } = report;
    let kind = format!("{:?}", report.sampler).to_lowercase();
    let mut lines = vec![
        format!("{title}; {samples} samples of each setting, seeds from {seed}, {steps} {kind} steps"),
        format!("gFID to {reference} training pictures by EfficientNet-Lite0 at {feature_side} px"),
        format!("{:>8} {:>12} {:>8} {:>9} {:>11}", "guidance", "interval", "gFID", "accuracy", "of classes"),
    ];
    lines.extend(report.cells.iter().map(|cell| {
        let Cell { guidance, frechet, accuracy, accuracy_mean_of_classes, .. } = cell;
        format!("{guidance:>8} {:>12} {frechet:>8.2} {accuracy:>9.3} {accuracy_mean_of_classes:>11.3}", span(cell))
    }));
    let best = &report.best;
    lines.push(match best.guidance {
        1.0 => "best: no guidance".to_owned(),
        guidance => format!("best: --guidance {guidance} --interval {}", span(best)),
    });
    lines.join("\n")
}

fn span(cell: &Cell) -> String {
    format!("{},{}", cell.interval.0, cell.interval.1)
}
