//! `maetok`: sample pictures, reconstruct pictures, inspect models, train.
//!
//! Thin: every command calls the library's pipeline, as the page does. What a user did wrong ends with one sentence on
//! stderr and exit status 2.

mod eval;
mod files;
mod inspect;
mod progress;
mod reconstruct;
mod sample;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand, error::ErrorKind};

/// Exit status of every failure that has a sentence.
const REFUSED: u8 = 2;

/// MAETok: a masked-autoencoder tokenizer and the SiT generator on it.
#[derive(Parser)]
#[command(name = "maetok", version, about, arg_required_else_help = true, disable_help_subcommand = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  maetok sample --class lorelei --out face.png
  maetok sample --class 3 --seed 7 --steps 50 --guidance 3 --grid 9 --out sheet.png
  maetok reconstruct photo.jpg --out again.png
  cat photo.jpg | maetok reconstruct - --json
  maetok inspect assets/models/toon-64
  maetok train tokenizer --data data/toon --out runs/tokenizer --minutes 60
  maetok train diffusion --data data/toon --tokenizer runs/tokenizer --out runs/sit --minutes 60
  maetok train pack --tokenizer runs/tokenizer --generator runs/sit --name mine --out models/mine";

#[derive(Subcommand)]
enum Command {
    /// Draws pictures of a class.
    Sample(sample::Arguments),
    /// Sends a picture through the tokenizer and says how much of it is left.
    Reconstruct(reconstruct::Arguments),
    /// Shows what a model folder or a weights file holds and whether it fits.
    Inspect(inspect::Arguments),
    /// Measures the tokenizer on held-out pictures, beside the mean picture and PCA.
    Eval(eval::Arguments),
    /// Trains a tokenizer or a generator, or packs trained runs as a model folder.
    #[command(subcommand)]
    Train(Box<train::Train>),
}

fn main() -> ExitCode {
    // A last resort: a panic is a mistake of ours, and still leaves one sentence instead of a trace.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        files::say(&format!("Something went wrong inside maetok{place}; please report it with the command you ran."));
    }));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refused_arguments(&error),
    };
    let done = match arguments.command {
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Reconstruct(arguments) => reconstruct::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Train(train) => train::run(&train),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            files::say(&error.to_string());
            ExitCode::from(REFUSED)
        }
    }
}

/// Help and version as they are; everything else as one sentence instead of clap's paragraph.
fn refused_arguments(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nothing can be said where even help cannot be printed.
        let _ = error.print();
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) };
    }
    let text = error.to_string();
    let paragraph: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let sentence = paragraph.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    files::say(&format!("{}; see maetok --help.", capitalised(sentence)));
    ExitCode::from(REFUSED)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
