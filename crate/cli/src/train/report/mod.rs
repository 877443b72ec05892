//! `maetok train report`: curves, sample grids and settings of a run, or of several side by side, as one HTML file that
//! needs nothing else.

mod chart;
mod overview;
mod page;
mod runs;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use maetok::checkpoint::write_atomically;

use self::runs::Run;
use crate::files;

/// Flags of `train report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Folders of runs, which may still go on; of several, the curves are drawn into one another.
    #[arg(value_name = "DIR", required = true)]
    runs: Vec<PathBuf>,
    /// The HTML file [default: report.html, or of several comparison.html, in the first run's folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If a folder holds no run, or the file cannot be written.
pub fn run(args: &ReportArgs) -> Result<()> {
    if args.runs.len() > chart::MOST {
        bail!("There are {} runs, but no more than {} can be told apart in one plot.", args.runs.len(), chart::MOST);
    }
    let mut runs = args.runs.iter().map(|dir| Run::read(dir)).collect::<Result<Vec<_>>>()?;
    let name = if runs.len() > 1 { "comparison.html" } else { "report.html" };
    let out = args.out.clone().unwrap_or_else(|| args.runs[0].join(name));
    // Folders of one name are told apart by their paths.
    for at in 0..runs.len() {
        if runs.iter().filter(|run| run.name == runs[at].name).count() > 1 {
            runs[at].name = args.runs[at].display().to_string();
        }
    }
    write_atomically(&out, page::page(&runs)?.as_bytes())?;
    files::say(&format!("{}", out.display()));
    Ok(())
}
