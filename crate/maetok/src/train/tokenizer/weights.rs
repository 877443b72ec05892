//! Networks that a run reads from files of other people.

use std::path::PathBuf;

use crate::checkpoint::LoadReport;
use crate::train::run_folder::read;
use crate::{Error, Result};

/// Reads the files and makes a network of them; what does not fit is said in short, with their names.
///
/// `what` is the network as it stands in a sentence: `the dino teacher`.
///
/// # Errors
/// [`Error::Io`] if a file cannot be read, [`Error::Training`] if its tensors are not those of the network; errors
/// about anything else than weights as they are.
pub fn from_files<T>(files: &[PathBuf], what: &str, make: impl FnOnce(&[&[u8]]) -> Result<T>) -> Result<T> {
    let bytes = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    make(&bytes).map_err(|error| {
        let reason = match &error {
            Error::WeightsMismatch { report } => brief(report),
            Error::Weights { problem } => match problem.strip_prefix("The ") {
                Some(rest) => format!("the {rest}"),
                None => problem.clone(),
            },
            _ => return error,
        };
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        Error::training(format!("{} cannot serve as {what}: {reason}", names.join(" with ")))
    })
}

/// How many tensors are wrong in which way, and one of each: the files may be of quite another network.
fn brief(report: &LoadReport) -> String {
    let mut said = Vec::new();
    if let Some(first) = report.missing.first() {
        said.push(format!("{} tensors missing, the first {first}", report.missing.len()));
    }
    if let Some(first) = report.misshaped.first() {
        said.push(format!(
            "{} of another shape, the first {} (the network has {:?}, the file {:?})",
            report.misshaped.len(),
            first.name,
            first.want,
            first.got
        ));
    }
    for (names, what) in
        [(&report.nonfinite, "with values that are no numbers"), (&report.mistyped, LoadReport::MISTYPED)]
    {
        if let Some(first) = names.first() {
            said.push(format!("{} {what}, the first {first}", names.len()));
        }
    }
    said.join("; ")
}
