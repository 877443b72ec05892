//! `maetok train pack`: trained runs become a model folder.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use maetok::checkpoint::Storage;
use maetok::train::pack::{Pack, pack};

use crate::files;
use crate::settings::choice;

/// Flags of `train pack`.
#[derive(Args, Debug)]
pub struct PackArgs {
    /// The tokenizer: its run, a model folder, or a folder with config.json and model.safetensors.
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// The generator's run; without one the model can only reconstruct.
    #[arg(long, value_name = "DIR")]
    generator: Option<PathBuf>,
    /// The data folder, for the names in its classes.json.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder with class.webp, .png or .jpg for each class.
    #[arg(long, value_name = "DIR")]
    thumbnails: Option<PathBuf>,
    /// Short name.
    #[arg(long, default_value = "model")]
    name: String,
    /// Name for people [default: the short one].
    #[arg(long, default_value = "", hide_default_value = true)]
    title: String,
    /// Licence of the weights as an SPDX expression, such as CC-BY-4.0: what the pictures' licences allow, which only
    /// you can know.
    #[arg(long, value_name = "SPDX", value_parser = NonEmptyStringValueParser::new())]
    license: String,
    /// Who trained it on what.
    #[arg(long, default_value = "unknown")]
    origin: String,
    /// A file with the model card [default: one with the runs' numbers is written].
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// How numbers are stored: f16, f32, or int8 for the matrices of linear layers and f16 for the rest.
    #[arg(long, default_value = "f16", value_parser = choice::<Storage>("storage", "f16, f32 or int8"))]
    storage: Storage,
    /// The model folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If a folder or a file is not what its flag asks for, if the runs do not belong together, or if the model cannot be
/// written.
pub fn run(args: &PackArgs) -> Result<()> {
    for (folder, flag) in [(&args.generator, "--generator"), (&args.data, "--data"), (&args.thumbnails, "--thumbnails")]
    {
        folder.as_deref().map_or(Ok(()), |folder| files::check_folder(folder, flag))?;
    }
    let card = match &args.card {
        Some(path) => {
            let bytes = files::input(path, files::SMALL)?;
            Some(String::from_utf8(bytes).context("The model card is no text in UTF-8")?)
        }
        None => None,
    };
    let request = Pack {
        tokenizer: args.tokenizer.clone(),
        generator: args.generator.clone(),
        data: args.data.clone(),
        thumbnails: args.thumbnails.clone(),
        name: args.name.clone(),
        title: args.title.clone(),
        license: args.license.clone(),
        origin: args.origin.clone(),
        card,
        storage: args.storage,
    };
    let manifest = pack(&request, &args.out)?;
    let bytes: u64 = manifest.files.iter().map(|file| file.size).sum();
    files::say(&format!("{}: {} files, {:.1} MB", args.out.display(), manifest.files.len(), bytes as f64 / 1e6));
    Ok(())
}
