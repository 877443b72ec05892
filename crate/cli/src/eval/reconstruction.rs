//! `maetok eval reconstruction`: the tokenizer on held-out pictures, beside the mean picture and PCA.

use anyhow::Result;
use clap::Args;
use maetok::Error;
use maetok::measure::reconstruction::{self, FEWEST_OF_RFID, Reconstructions};

use super::Common;
use crate::settings::number;
use crate::{files, progress};

/// What --fit must be.
const FIT: &str = "a number of pictures, 1 or more";

/// Arguments of `maetok eval reconstruction`.
#[derive(Args)]
pub struct Reconstruction {
    #[command(flatten)]
    common: Common,
    /// Training pictures that the mean picture and PCA are fitted to, 1 or more.
    #[arg(long, value_name = "N", default_value_t = 6000, allow_negative_numbers = true,
        value_parser = number::<usize>("fit", FIT))]
    fit: usize,
}

/// Runs the command.
pub fn run(arguments: &Reconstruction) -> Result<()> {
    if arguments.fit == 0 {
        return Err(Error::setting("fit", 0, FIT).into());
    }
    let bench = arguments.common.bench()?;
    let data = arguments.common.data(&bench.pipeline)?;
    data.notices().iter().for_each(|notice| files::say(notice));
    let shown = progress::Told::default();
    let measured =
        reconstruction::measure(&bench.pipeline, &bench.judge, &data, arguments.fit, &|told| shown.tell(told))?;
    shown.clear();
    if arguments.common.json {
        return files::print(&serde_json::to_string_pretty(&measured)?);
    }
    files::print(&table(&measured, &bench.title))
}

fn table(measured: &Reconstructions, title: &str) -> String {
    let Reconstructions { components, fitted_to, feature_side, rows } = measured;
    let mut lines = vec![
        format!("{title}; PSNR in dB; mean picture and PCA fitted to {fitted_to} training pictures"),
        format!(
            "distance (LPIPS-like, 0 to 4) and rFID by EfficientNet-Lite0 at {feature_side} px; \
             no rFID of fewer than {FEWEST_OF_RFID} pictures"
        ),
        format!(
            "{:<10} {:>8} {:>13} {:>13} {:>10} {:>10} {:>9} {:>8}",
            "group",
            "pictures",
            "mean picture",
            format!("PCA {components}"),
            "tokenizer",
            "its SSIM",
            "distance",
            "rFID"
        ),
    ];
    lines.extend(rows.iter().map(|row| {
        let rfid = row.rfid.map_or_else(|| "-".to_owned(), |rfid| format!("{rfid:.2}"));
        format!(
            "{:<10} {:>8} {:>13.2} {:>13.2} {:>10.2} {:>10.3} {:>9.3} {rfid:>8}",
            row.group, row.pictures, row.mean_picture, row.pca, row.tokenizer, row.ssim, row.distance
        )
    }));
    lines.join("\n")
}
