//! `maetok train tokenizer | diffusion | pack | report`: recipes and flags become the settings of the library's
//! trainers.

mod objective;
mod package;
mod recipe;
mod report;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use maetok::diffusion::PathType;
use maetok::nn::Precision;
use maetok::tokenizer::{TokenizerConfig, VitSize};
use maetok::train::latents::Source;
use maetok::train::losses::Times;
use maetok::train::provenance::name_device;
use maetok::train::schedule::Schedule;
use maetok::train::{DiffusionTrainer, DiffusionTraining, Pace, Start, Summary, TokenizerTrainer, TokenizerTraining};

use crate::settings::{choice, number, numbers};
use crate::{files, interrupt};

/// The recipe of a new run for which none is named.
const RECIPE: &str = "toon-128";
/// What sizes of a transformer must be.
const SIZES: &str = "width, blocks and heads, as in 192x4x4";
/// What must be positive.
const POSITIVE: &str = "a positive number";
/// What may be zero.
const WHOLE: &str = "a number from 0";

/// Puts the flags that both trainers know into their settings, which have these fields in common.
macro_rules! apply {
    ($common:expr, $settings:ident) => {
        let common = &$common;
        set(&mut $settings.data, common.data.clone());
        set(&mut $settings.batch, common.batch);
        set(&mut $settings.workers, common.workers);
        set(&mut $settings.devices, common.device.clone());
        set(&mut $settings.precision, common.precision);
        set(&mut $settings.ema, common.ema);
        set(&mut $settings.seed, common.seed);
        set(&mut $settings.evaluate_pictures, common.evaluate_pictures);
        rate(&mut $settings.schedule, common);
        $settings.mirror &= !common.no_mirror;
        $settings.balanced &= !common.unbalanced;
        pace(&mut $settings.pace, common);
    };
}

/// What to train.
#[derive(Subcommand, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them in a program's life")]
pub enum Train {
    /// A tokenizer on a folder of pictures.
    Tokenizer(TokenizerArgs),
    /// A generator on the latents of a trained tokenizer.
    Diffusion(DiffusionArgs),
    /// Writes trained runs as a model folder, in f16.
    Pack(package::PackArgs),
    /// Writes the curves, sample grids and settings of a run, or of several side by side, as one HTML file.
    Report(report::ReportArgs),
}

/// Flags both trainers know. "The recipe's" value is, with --resume, that of the run.
#[derive(Args, Debug)]
pub struct Common {
    /// Folder with class/*.png|jpg|webp, or with train/ and held-out/ of that form; with --resume the run's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Goes on with the run in --out; what is "the recipe's" below is then that run's.
    #[arg(long)]
    resume: bool,
    /// Where to compute: cpu, wgpu, or where built in libtorch, cuda:N (an NVIDIA card) or ws://HOST:PORT (a device that
    /// `maetok serve` lends). Several, with commas between, share every batch: the first keeps the weights, and a name
    /// that is there twice gets two parts [default: the recipe's, which is cpu unless it says otherwise].
    #[arg(long, alias = "devices", value_name = "NAMES", value_delimiter = ',')]
    device: Option<Vec<String>>,
    /// Numbers of the matrix products: f32, or bf16 with weights in f32, faster where the processor has
    /// instructions for it and the device uses them (libtorch, cuda) [default: the recipe's].
    #[arg(long, value_name = "NAME", value_parser = choice::<Precision>("precision", "f32 or bf16"))]
    precision: Option<Precision>,
    /// Updates, 1 or more [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u64>("steps", POSITIVE))]
    steps: Option<u64>,
    /// Minutes of training instead of --steps, above 0 [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true, conflicts_with = "steps",
        value_parser = number::<f64>("minutes", POSITIVE))]
    minutes: Option<f64>,
    /// Pictures per update, 1 or more [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<usize>("batch", POSITIVE))]
    batch: Option<usize>,
    /// Threads on each device with a part of the batch each; devices times threads must divide --batch [default: the
    /// recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<usize>("workers", "a divisor of the batch"))]
    workers: Option<usize>,
    /// Highest learning rate, above 0; the floor is a tenth of it, and warm-up starts no higher [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = number::<f64>("lr", POSITIVE))]
    lr: Option<f64>,
    /// Warm-up updates, 0 or more [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u64>("warmup", WHOLE))]
    warmup: Option<u64>,
    /// Decay of the averaged weights, from 0 to below 1 [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("ema", "at least 0 and below 1"))]
    ema: Option<f64>,
    /// Never mirrors pictures [default: the recipe's].
    #[arg(long)]
    no_mirror: bool,
    /// Draws every picture, not every class, equally often [default: the recipe's].
    #[arg(long)]
    unbalanced: bool,
    /// Seed of weights, batches and noise, from 0 to 18446744073709551615 [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<u64>("seed", "a number from 0 to 18446744073709551615"))]
    seed: Option<u64>,
    /// Held-out pictures that are measured, 1 or more [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<usize>("evaluate-pictures", POSITIVE))]
    evaluate_pictures: Option<usize>,
    /// Updates between log lines, 0 for none but the last [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u64>("log-every", WHOLE))]
    log_every: Option<u64>,
    /// Updates between measurements, 0 for none but the last [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u64>("evaluate-every", WHOLE))]
    evaluate_every: Option<u64>,
    /// Updates between sample grids, 0 for none but the last [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u64>("sample-every", WHOLE))]
    sample_every: Option<u64>,
    /// Updates between checkpoints, 0 for none but the last [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<u64>("checkpoint-every", WHOLE))]
    checkpoint_every: Option<u64>,
}

/// Flags of `train tokenizer`.
#[derive(Args, Debug)]
pub struct TokenizerArgs {
    #[command(flatten)]
    common: Common,
    /// What to train, and how: toon-128, toon-128-decoder, toon-128-plain, toon-128-kl, toon-64, toon-64-full,
    /// toon-64-decoder, toon-64-plain, toon-64-kl, base-256, base-256-decoder, or a TOML file (the flags win over it)
    /// [default: toon-128].
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// Side of the pictures, a multiple of the patch's and at most 4096 [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<usize>("image-size", "a multiple of the patch size, at most 4096"))]
    image_size: Option<usize>,
    /// Side of a patch, a divisor of the pictures' [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<usize>("patch-size", "a divisor of the pictures' side"))]
    patch_size: Option<usize>,
    /// Latent tokens and channels, as 32x16 [default: the recipe's].
    #[arg(long, value_name = "LxC", allow_hyphen_values = true,
        value_parser = numbers::<usize, 2>("latent", 'x', "tokens and channels, as in 32x16"))]
    latent: Option<[usize; 2]>,
    /// Width, blocks, heads of the encoder, as 192x4x4 [default: the recipe's].
    #[arg(long, value_name = "DxNxA", allow_hyphen_values = true,
        value_parser = numbers::<usize, 3>("encoder", 'x', SIZES))]
    encoder: Option<[usize; 3]>,
    /// Width, blocks, heads of the decoder, as 192x4x4 [default: the recipe's].
    #[arg(long, value_name = "DxNxA", allow_hyphen_values = true,
        value_parser = numbers::<usize, 3>("decoder", 'x', SIZES))]
    decoder: Option<[usize; 3]>,
    /// Bounds of the mask ratio, as 0.4x0.6, above 0 and below 1; 0x0 for no masks [default: the recipe's].
    #[arg(long, value_name = "LOWxHIGH", allow_hyphen_values = true,
        value_parser = numbers::<f64, 2>("mask", 'x', "two shares, as in 0.4x0.6, or 0x0"))]
    mask: Option<[f64; 2]>,
    /// Folder with held-out pictures [default: held-out/ in --data, otherwise the training pictures].
    #[arg(long, value_name = "DIR")]
    held_out: Option<PathBuf>,
    /// Weight of the HOG loss, 0 or more; 0 leaves its auxiliary decoder out [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("hog", "a number that is not negative"))]
    hog: Option<f64>,
    /// Width, blocks, heads of each auxiliary decoder, as 192x3x3 [default: the recipe's].
    #[arg(long, value_name = "DxNxA", allow_hyphen_values = true,
        value_parser = numbers::<usize, 3>("hog-decoder", 'x', SIZES))]
    hog_decoder: Option<[usize; 3]>,
    /// From this share of the run on, 0 to 1, the mask ratio falls to zero [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("unmask-from", "a share from 0 to 1"))]
    unmask_from: Option<f64>,
    /// Keeps the encoder as it is while the mask ratio falls, without --unmask-from from the first update on [default:
    /// the recipe's].
    #[arg(long)]
    freeze_encoder: bool,
    /// Weights to start from: linear (the best linear code of blocks of patches), spatial (random, but local), or
    /// official (random as in the paper, which needs a very long run) [default: the recipe's].
    #[arg(long, value_name = "NAME", value_parser = choice::<Start>("start", "linear, spatial or official"))]
    start: Option<Start>,
    /// Weight decay, 0 or more [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f32>("weight-decay", "a number that is not negative"))]
    weight_decay: Option<f32>,
    #[command(flatten)]
    objective: objective::ObjectiveArgs,
}

/// Flags of `train diffusion`.
#[derive(Args, Debug)]
pub struct DiffusionArgs {
    #[command(flatten)]
    common: Common,
    /// The tokenizer: a run, a model folder, or a folder with config.json and model.safetensors; with --resume the
    /// run's, or where that now lies.
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// What to train, and how: toon-128, toon-64, lightningdit-64, xl, or a TOML file (the flags win over it)
    /// [default: toon-128].
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// Width, blocks, heads, as 192x6x4 [default: the recipe's].
    #[arg(long, value_name = "DxNxA", allow_hyphen_values = true,
        value_parser = numbers::<usize, 3>("size", 'x', SIZES))]
    size: Option<[usize; 3]>,
    /// Interpolant: linear or cosine [default: the recipe's].
    #[arg(long, value_name = "NAME", value_parser = choice::<PathType>("path", "linear or cosine"))]
    path: Option<PathType>,
    /// Law of the times: lognormal or uniform [default: the recipe's].
    #[arg(long, value_name = "NAME", value_parser = choice::<Times>("times", "lognormal or uniform"))]
    times: Option<Times>,
    /// Share of labels left out, 0 to 1 [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("label-dropout", "a share from 0 to 1"))]
    label_dropout: Option<f64>,
}

/// Trains.
///
/// # Errors
/// What the trainer says.
pub fn run(train: &Train) -> Result<()> {
    match train {
        Train::Tokenizer(args) => tokenizer(args),
        Train::Diffusion(args) => diffusion(args),
        Train::Pack(args) => package::run(args),
        Train::Report(args) => report::run(args),
    }
}

fn tokenizer(args: &TokenizerArgs) -> Result<()> {
    files::check_devices(args.common.device.iter().flatten())?;
    let (mut settings, mut config) = if args.common.resume {
        refuse_with_resume(&[
            ("--recipe", args.recipe.is_some()),
            ("--start", args.start.is_some()),
            ("--image-size", args.image_size.is_some()),
            ("--patch-size", args.patch_size.is_some()),
            ("--latent", args.latent.is_some()),
            ("--encoder", args.encoder.is_some()),
            ("--decoder", args.decoder.is_some()),
            ("--hog-decoder", args.hog_decoder.is_some()),
        ])?;
        refuse_with_resume(&args.objective.of_the_start())?;
        TokenizerTraining::of_run(&args.common.out)?
    } else {
        let name = args.recipe.as_deref().unwrap_or(RECIPE);
        let recipe = recipe::TOKENIZERS.read::<TokenizerTraining>(name)?;
        (recipe.training.clone(), recipe.tokenizer()?)
    };
    apply!(args.common, settings);
    set(&mut settings.adamw.weight_decay, args.weight_decay);
    set(&mut settings.hog, args.hog);
    set(&mut settings.hog_decoder, args.hog_decoder.map(Into::into));
    if args.held_out.is_some() {
        settings.held_out.clone_from(&args.held_out);
    }
    if args.unmask_from.is_some() {
        settings.unmask_from = args.unmask_from;
    }
    set(&mut settings.start, args.start);
    settings.freeze_encoder |= args.freeze_encoder;
    args.objective.apply(&mut settings);
    if settings.data.as_os_str().is_empty() {
        bail!("--data is missing: the folder with the pictures.");
    }
    files::check_folder(&settings.data, "--data")?;
    if let Some(held_out) = &settings.held_out {
        files::check_folder(held_out, "--held-out")?;
    }
    if !args.common.resume {
        config = begun_with(&settings, config)?;
    }

    set(&mut config.image_size, args.image_size);
    set(&mut config.patch_size, args.patch_size);
    if let Some([tokens, channels]) = args.latent {
        (config.latent_tokens, config.latent_channels) = (tokens, channels);
    }
    let size = |[width, depth, heads]: [usize; 3]| VitSize { width, depth, heads };
    set(&mut config.encoder, args.encoder.map(size));
    set(&mut config.decoder, args.decoder.map(size));
    if let Some([low, high]) = args.mask {
        config.token_drop = ((low, high) != (0.0, 0.0)).then_some((low, high));
    }
    config.validate()?;

    let (devices, names) = files::devices(&settings.devices)?;
    let stop = settings.pace.stop.clone();
    waiting(&settings.data);
    let mut trainer = TokenizerTrainer::new(settings, config, &args.common.out, args.common.resume, devices)?;
    for notice in trainer.notices() {
        files::say(notice);
    }
    files::say(&format!("tokenizer with {} parameters on {names}", trainer.parameters()));
    name_device(&args.common.out, &names)?;
    interrupt::watch(&stop)?;
    told(&trainer.run()?, "tokenizer", &args.common.out)
}

/// The sizes of a new run: those of the model it goes on from, if there is one, with the recipe's masks.
fn begun_with(settings: &TokenizerTraining, config: TokenizerConfig) -> Result<TokenizerConfig> {
    match &settings.init_from {
        Some(from) => {
            files::check_folder(from, "--from")?;
            Ok(TokenizerConfig { token_drop: config.token_drop, ..Source::find(from)?.config })
        }
        None if settings.freeze_encoder && settings.unmask_from.unwrap_or(0.0) == 0.0 => {
            bail!("--from is missing: the run or the model whose encoder is kept as it is.")
        }
        None => Ok(config),
    }
}

fn diffusion(args: &DiffusionArgs) -> Result<()> {
    files::check_devices(args.common.device.iter().flatten())?;
    let (mut settings, mut config) = if args.common.resume {
        refuse_with_resume(&[
            ("--recipe", args.recipe.is_some()),
            ("--size", args.size.is_some()),
            ("--path", args.path.is_some()),
        ])?;
        DiffusionTraining::of_run(&args.common.out)?
    } else {
        let name = args.recipe.as_deref().unwrap_or(RECIPE);
        let recipe = recipe::GENERATORS.read::<DiffusionTraining>(name)?;
        (recipe.training.clone(), recipe.generator()?)
    };
    apply!(args.common, settings);
    set(&mut settings.tokenizer, args.tokenizer.clone());
    if settings.data.as_os_str().is_empty() || settings.tokenizer.as_os_str().is_empty() {
        bail!("--data and --tokenizer are needed: the pictures, and the tokenizer whose latents to learn.");
    }
    files::check_folder(&settings.data, "--data")?;
    files::check_folder(&settings.tokenizer, "--tokenizer")?;
    Source::find(&settings.tokenizer)?;
    set(&mut settings.path, args.path);
    set(&mut settings.times, args.times);
    if let Some([width, depth, heads]) = args.size {
        config = config.with_size(width, depth, heads);
    }
    if let Some(dropout) = args.label_dropout {
        config = config.with_class_dropout(dropout);
    }
    config.validate()?;

    let (devices, names) = files::devices(&settings.devices)?;
    let stop = settings.pace.stop.clone();
    waiting(&settings.data);
    let mut trainer = DiffusionTrainer::new(settings, config, &args.common.out, args.common.resume, devices)?;
    for notice in trainer.notices() {
        files::say(notice);
    }
    files::say(&format!("generator with {} parameters on {names}", trainer.parameters()));
    name_device(&args.common.out, &names)?;
    interrupt::watch(&stop)?;
    told(&trainer.run()?, "diffusion", &args.common.out)
}

/// What was decided when a run began is not to be ignored, and not to be changed in its files either.
fn refuse_with_resume(flags: &[(&str, bool)]) -> Result<()> {
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => bail!("{flag} belongs to the beginning of a run: leave it out with --resume."),
        None => Ok(()),
    }
}

/// Says what takes so long before the first update, to a person only: elsewhere a refusal is all that is said.
fn waiting(data: &Path) {
    if io::stderr().is_terminal() {
        files::say(&format!("reading the pictures in {}", data.display()));
    }
}

/// Says where the run ended; `what` was trained into `out`.
fn told(summary: &Summary, what: &str, out: &Path) -> Result<()> {
    if summary.stopped {
        return Err(interrupt::Stopped::new(summary, what, out).into());
    }
    files::say(&format!("step {}: saved in {}", summary.state.step, summary.checkpoint.display()));
    Ok(())
}

fn rate(schedule: &mut Schedule, common: &Common) {
    if let Some(rate) = common.lr {
        (schedule.peak, schedule.floor, schedule.start) = (rate, rate / 10.0, schedule.start.min(rate));
    }
    set(&mut schedule.warmup, common.warmup);
}

fn pace(pace: &mut Pace, common: &Common) {
    if let Some(steps) = common.steps {
        (pace.steps, pace.minutes) = (steps, None);
    }
    if common.minutes.is_some() {
        pace.minutes = common.minutes;
    }
    set(&mut pace.log_every, common.log_every);
    set(&mut pace.evaluate_every, common.evaluate_every);
    set(&mut pace.sample_every, common.sample_every);
    set(&mut pace.checkpoint_every, common.checkpoint_every);
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        common: Common,
    }

    #[test]
    fn warm_up_never_starts_above_the_highest_rate() {
        let recipe = Schedule { peak: 1e-3, floor: 1e-4, start: 1e-5, warmup: 500 };
        for (lr, want) in [("1e-6", (1e-6, 1e-7, 1e-6)), ("1e-2", (1e-2, 1e-3, 1e-5))] {
            let line = Line::try_parse_from(["train", "--out", "run", "--lr", lr]).unwrap();
            let mut schedule = recipe;
            rate(&mut schedule, &line.common);
            assert!((schedule.floor - want.1).abs() < 1e-12);
            assert_eq!((schedule.peak, schedule.start), (want.0, want.2));
        }
    }
}
