//! `maetok`: sample pictures, reconstruct pictures, inspect models, measure them, train.
//!
//! Thin: every command calls the library's pipeline, as the page does. Whatever goes wrong ends with one sentence on
//! stderr and exit status 2; a run that was stopped by Ctrl-C with one and status 130.

mod bench;
mod eval;
mod files;
mod inspect;
mod interrupt;
mod latents;
mod map;
mod progress;
mod reconstruct;
mod refusal;
mod remembered;
mod sample;
mod sampling;
#[cfg(feature = "remote")]
mod serve;
mod settings;
mod train;

use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

/// Exit status of every failure.
const REFUSED: u8 = 2;

/// MAETok: a masked-autoencoder tokenizer and the SiT generator on it. What help says first is the package's description.
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
  maetok encode photo.jpg --out latent.npy
  maetok decode latent.npy --out again.png
  maetok inspect assets/models/toon-128
  maetok eval --data data/toon-128
  maetok eval samples --data data/toon-128 --guidance 2 --json
  maetok train tokenizer --data data/toon-128 --out runs/tokenizer --minutes 60
  maetok train diffusion --data data/toon-128 --tokenizer runs/tokenizer --out runs/sit --minutes 60
  maetok train report runs/sit
  maetok bench model --device wgpu
  maetok train pack --tokenizer runs/tokenizer --generator runs/sit --license CC0-1.0 --name mine --out models/mine";

#[derive(Subcommand)]
enum Command {
    /// Draws pictures of a class.
    Sample(sample::Arguments),
    /// Sends a picture through the tokenizer and says how much of it is left.
    Reconstruct(reconstruct::Arguments),
    /// Writes a picture's latent to a file.
    Encode(latents::Encode),
    /// Makes a picture of a latent in a file.
    Decode(latents::Decode),
    /// Shows what a model folder or a weights file holds and whether it fits.
    Inspect(inspect::Arguments),
    /// Measures the tokenizer on held-out pictures, beside the mean picture and PCA; or samples; or guidance.
    Eval(Box<eval::Arguments>),
    /// Trains a tokenizer or a generator, packs trained runs as a model folder, or reports on a run.
    #[command(subcommand)]
    Train(Box<train::Train>),
    /// Measures how fast a model or the kernels run here.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Gives a model folder the latents of some pictures, of which the page draws a map.
    Map(map::Arguments),
    /// Lends devices of this machine to training runs on others.
    #[cfg(feature = "remote")]
    Serve(serve::Arguments),
}

fn main() -> ExitCode {
    refusal::note_panics();
    match refusal::caught(answer) {
        Ok(code) => code,
        Err(panic) => refused(&panic),
    }
}

/// Does what the arguments ask for.
fn answer() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return answer_without_command(&error),
    };
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = refused(&refusal::of_error(&error));
            if error.is::<interrupt::Stopped>() { ExitCode::from(interrupt::STATUS) } else { code }
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Reconstruct(arguments) => reconstruct::run(&arguments),
        Command::Encode(arguments) => latents::encode(&arguments),
        Command::Decode(arguments) => latents::decode(&arguments),
        Command::Map(arguments) => map::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Train(train) => train::run(&train),
        Command::Bench(command) => bench::run(&command),
        #[cfg(feature = "remote")]
        Command::Serve(arguments) => serve::run(&arguments),
    }
}

fn refused(sentence: &str) -> ExitCode {
    files::say(sentence);
    ExitCode::from(REFUSED)
}

/// Help and version as they are; everything else as one sentence instead of clap's paragraph.
fn answer_without_command(error: &clap::Error) -> ExitCode {
    let asked = refusal::was_asked_for(error);
    if asked || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nothing can be said where even help cannot be printed.
        let _ = error.print();
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) };
    }
    refused(&refusal::of_arguments(error, &spoken_to()))
}

/// The command that was spoken to, as in `maetok train tokenizer`.
fn spoken_to() -> String {
    let mut names = vec!["maetok".to_owned()];
    let mut command = Arguments::command();
    for word in std::env::args_os().skip(1) {
        let Some(found) = command.find_subcommand(&word).cloned() else { break };
        names.push(found.get_name().to_owned());
        command = found;
    }
    names.join(" ")
}
