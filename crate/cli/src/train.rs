//! `maetok train tokenizer | diffusion | pack`: the flags, and nothing but the flags.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use maetok::device;
use maetok::diffusion::{GeneratorConfig, LightningConfig, SitConfig};
use maetok::tokenizer::{TokenizerConfig, VitSize};
use maetok::train::pack::{Pack, pack};
use maetok::train::schedule::Schedule;
use maetok::train::{DiffusionTrainer, DiffusionTraining, Pace, Summary, TokenizerTrainer, TokenizerTraining};

use crate::files;

/// Puts the flags that both trainers know into their settings, which have these fields in common.
macro_rules! apply {
    ($common:expr, $settings:ident) => {
        let common = &$common;
        set(&mut $settings.data, common.data.clone());
        set(&mut $settings.batch, common.batch);
        set(&mut $settings.workers, common.workers);
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
pub enum Train {
    /// A tokenizer on a folder of pictures.
    Tokenizer(TokenizerArgs),
    /// A generator on the latents of a trained tokenizer.
    Diffusion(DiffusionArgs),
    /// Writes trained runs as a model folder, in f16.
    Pack(PackArgs),
}

/// Flags both trainers know. What is left out keeps its default, or with --resume the value of the run.
#[derive(Args, Debug)]
pub struct Common {
    /// Folder with class/*.png|jpg|webp, or with train/ and held-out/ of that form.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of the run.
    #[arg(long)]
    out: PathBuf,
    /// Goes on with the run in --out.
    #[arg(long)]
    resume: bool,
    /// cpu, wgpu or (where built in) libtorch.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Updates.
    #[arg(long)]
    steps: Option<u64>,
    /// Minutes of training, instead of --steps.
    #[arg(long, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Pictures per update.
    #[arg(long)]
    batch: Option<usize>,
    /// Threads with a part of the batch each.
    #[arg(long)]
    workers: Option<usize>,
    /// Highest learning rate; the floor is a tenth of it.
    #[arg(long)]
    lr: Option<f64>,
    /// Warm-up updates.
    #[arg(long)]
    warmup: Option<u64>,
    /// Decay of the averaged weights.
    #[arg(long)]
    ema: Option<f64>,
    /// Never mirrors pictures.
    #[arg(long)]
    no_mirror: bool,
    /// Draws every picture, not every class, equally often.
    #[arg(long)]
    unbalanced: bool,
    /// Seed of weights, batches and noise.
    #[arg(long)]
    seed: Option<u64>,
    /// Held-out pictures that are measured.
    #[arg(long)]
    evaluate_pictures: Option<usize>,
    /// Updates between log lines.
    #[arg(long)]
    log_every: Option<u64>,
    /// Updates between measurements.
    #[arg(long)]
    evaluate_every: Option<u64>,
    /// Updates between sample grids.
    #[arg(long)]
    sample_every: Option<u64>,
    /// Updates between checkpoints.
    #[arg(long)]
    checkpoint_every: Option<u64>,
}

/// Flags of `train tokenizer`.
#[derive(Args, Debug)]
pub struct TokenizerArgs {
    #[command(flatten)]
    common: Common,
    /// Sizes to start from: toon-64 or base-256.
    #[arg(long, default_value = "toon-64")]
    preset: String,
    /// Side of the pictures.
    #[arg(long)]
    image_size: Option<usize>,
    /// Side of a patch.
    #[arg(long)]
    patch_size: Option<usize>,
    /// Latent tokens and channels, as 32x16.
    #[arg(long, value_parser = pair)]
    latent: Option<(usize, usize)>,
    /// Width, blocks, heads of the encoder, as 192x4x4.
    #[arg(long, value_parser = triple)]
    encoder: Option<(usize, usize, usize)>,
    /// Width, blocks, heads of the decoder, as 192x4x4.
    #[arg(long, value_parser = triple)]
    decoder: Option<(usize, usize, usize)>,
    /// Bounds of the mask ratio, as 0.4x0.6; 0x0 for none.
    #[arg(long, value_parser = shares)]
    mask: Option<(f64, f64)>,
    /// Folder with held-out pictures.
    #[arg(long)]
    held_out: Option<PathBuf>,
    /// Weight of the HOG loss; 0 leaves the auxiliary decoder out.
    #[arg(long)]
    hog: Option<f64>,
    /// Width, blocks, heads of the auxiliary decoder, as 192x3x3.
    #[arg(long, value_parser = triple)]
    hog_decoder: Option<(usize, usize, usize)>,
    /// From this share of the run on, the mask ratio falls to zero.
    #[arg(long)]
    unmask_from: Option<f64>,
    /// Keeps the encoder as it is while the mask ratio falls.
    #[arg(long)]
    freeze_encoder: bool,
    /// Starts from weights drawn as the official code draws them, which needs a long run.
    #[arg(long)]
    official_start: bool,
    /// Weight decay.
    #[arg(long)]
    weight_decay: Option<f32>,
}

/// Flags of `train diffusion`.
#[derive(Args, Debug)]
pub struct DiffusionArgs {
    #[command(flatten)]
    common: Common,
    /// The tokenizer: a run, a model folder, or a folder with config.json and model.safetensors.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// The network: sit or lightningdit.
    #[arg(long)]
    network: Option<String>,
    /// Width, blocks, heads, as 256x8x4.
    #[arg(long, value_parser = triple)]
    size: Option<(usize, usize, usize)>,
    /// Weight of the loss on the velocity's direction; 1 for lightningdit, 0 for sit if left out.
    #[arg(long)]
    direction: Option<f64>,
    /// Interpolant: linear or cosine.
    #[arg(long)]
    path: Option<String>,
    /// Law of the times: lognormal or uniform.
    #[arg(long)]
    times: Option<String>,
    /// Share of labels left out.
    #[arg(long)]
    label_dropout: Option<f64>,
}

/// Flags of `train pack`.
#[derive(Args, Debug)]
pub struct PackArgs {
    /// The tokenizer's run.
    #[arg(long)]
    tokenizer: PathBuf,
    /// The generator's run.
    #[arg(long)]
    generator: Option<PathBuf>,
    /// The data folder, for the names in its classes.json.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder with class.webp, .png or .jpg for each class.
    #[arg(long)]
    thumbnails: Option<PathBuf>,
    /// Short name.
    #[arg(long, default_value = "model")]
    name: String,
    /// Name for people.
    #[arg(long, default_value = "")]
    title: String,
    /// SPDX expression.
    #[arg(long, default_value = "MIT OR Apache-2.0")]
    license: String,
    /// Who trained it on what.
    #[arg(long, default_value = "unknown")]
    origin: String,
    /// A file with the model card; one with the runs' numbers is written without.
    #[arg(long)]
    card: Option<PathBuf>,
    /// The model folder.
    #[arg(long)]
    out: PathBuf,
}

/// Trains.
///
/// # Errors
/// What the trainer says.
pub fn run(train: &Train) -> Result<()> {
    match train {
        Train::Tokenizer(args) => tokenizer(args),
        Train::Diffusion(args) => diffusion(args),
        Train::Pack(args) => package(args),
    }
}

fn tokenizer(args: &TokenizerArgs) -> Result<()> {
    let (device, info) = pollster::block_on(device::open(args.common.device.parse()?))?;
    let (mut settings, mut config) = if args.common.resume {
        TokenizerTraining::of_run(&args.common.out)?
    } else {
        (TokenizerTraining::default(), preset(&args.preset)?)
    };
    apply!(args.common, settings);
    set(&mut settings.adamw.weight_decay, args.weight_decay);
    set(&mut settings.hog, args.hog);
    set(&mut settings.hog_decoder, args.hog_decoder);
    if args.held_out.is_some() {
        settings.held_out.clone_from(&args.held_out);
    }
    if args.unmask_from.is_some() {
        settings.unmask_from = args.unmask_from;
    }
    settings.spatial_start &= !args.official_start;
    settings.freeze_encoder |= args.freeze_encoder;
    if settings.data.as_os_str().is_empty() {
        bail!("--data is missing: the folder with the pictures");
    }

    set(&mut config.image_size, args.image_size);
    set(&mut config.patch_size, args.patch_size);
    if let Some((tokens, channels)) = args.latent {
        (config.latent_tokens, config.latent_channels) = (tokens, channels);
    }
    let size = |(width, depth, heads)| VitSize { width, depth, heads };
    set(&mut config.encoder, args.encoder.map(size));
    set(&mut config.decoder, args.decoder.map(size));
    if let Some((low, high)) = args.mask {
        config.token_drop = (high > 0.0).then_some((low, high));
    }

    let mut trainer = TokenizerTrainer::new(settings, config, &args.common.out, args.common.resume, &device)?;
    for notice in trainer.notices() {
        files::say(notice);
    }
    files::say(&format!("tokenizer with {} parameters on {} ({})", trainer.parameters(), info.name, info.backend));
    told(&trainer.run()?);
    Ok(())
}

fn diffusion(args: &DiffusionArgs) -> Result<()> {
    let (device, info) = pollster::block_on(device::open(args.common.device.parse()?))?;
    let (mut settings, mut config) = if args.common.resume {
        DiffusionTraining::of_run(&args.common.out)?
    } else {
        // Tokens, channels and classes are those of the tokenizer and the pictures.
        let (network, direction) = network(args.network.as_deref().unwrap_or("sit"))?;
        (DiffusionTraining { direction, ..DiffusionTraining::default() }, network)
    };
    set(&mut settings.direction, args.direction);
    apply!(args.common, settings);
    set(&mut settings.tokenizer, args.tokenizer.clone());
    if settings.data.as_os_str().is_empty() || settings.tokenizer.as_os_str().is_empty() {
        bail!("--data and --tokenizer are needed: the pictures, and the tokenizer whose latents to learn");
    }
    if let Some(path) = &args.path {
        settings.path = serde_json::from_value(path.as_str().into()).ok().context("--path must be linear or cosine")?;
    }
    if let Some(times) = &args.times {
        settings.times =
            serde_json::from_value(times.as_str().into()).ok().context("--times must be lognormal or uniform")?;
    }
    if let Some((width, depth, heads)) = args.size {
        config = config.with_size(width, depth, heads);
    }
    if let Some(dropout) = args.label_dropout {
        config = config.with_class_dropout(dropout);
    }

    let mut trainer = DiffusionTrainer::new(settings, config, &args.common.out, args.common.resume, &device)?;
    for notice in trainer.notices() {
        files::say(notice);
    }
    files::say(&format!("generator with {} parameters on {} ({})", trainer.parameters(), info.name, info.backend));
    told(&trainer.run()?);
    Ok(())
}

/// A small network of this name, with the weight of the direction loss in its authors' recipe.
fn network(name: &str) -> Result<(GeneratorConfig, f64)> {
    match name {
        "sit" => Ok((SitConfig::toon(1).into(), 0.0)),
        "lightningdit" => Ok((LightningConfig::toon(1).into(), 1.0)),
        _ => bail!("--network must be sit or lightningdit, not {name}"),
    }
}

fn package(args: &PackArgs) -> Result<()> {
    let card = match &args.card {
        Some(path) => Some(String::from_utf8(files::input(path)?).context("the model card is not UTF-8 text")?),
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
    };
    let manifest = pack(&request, &args.out)?;
    let bytes: u64 = manifest.files.iter().map(|file| file.size).sum();
    files::say(&format!("{}: {} files, {:.1} MB", args.out.display(), manifest.files.len(), bytes as f64 / 1e6));
    Ok(())
}

fn told(summary: &Summary) {
    files::say(&format!("step {}: saved in {}", summary.state.step, summary.checkpoint.display()));
}

fn rate(schedule: &mut Schedule, common: &Common) {
    if let Some(rate) = common.lr {
        (schedule.peak, schedule.floor) = (rate, rate / 10.0);
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

fn preset(name: &str) -> Result<TokenizerConfig> {
    match name {
        "toon-64" => Ok(TokenizerConfig::toon_64()),
        "base-256" => Ok(TokenizerConfig::base_128(256)),
        _ => bail!("there is no preset {name}; there are toon-64 and base-256"),
    }
}

fn parts<T: std::str::FromStr, const N: usize>(text: &str) -> Result<[T; N]> {
    let read: Option<Vec<T>> = text.split('x').map(|part| part.parse().ok()).collect();
    read.and_then(|parts| parts.try_into().ok()).with_context(|| format!("{text} is not {N} numbers with x between"))
}

fn pair(text: &str) -> Result<(usize, usize)> {
    parts::<usize, 2>(text).map(|[a, b]| (a, b))
}

fn triple(text: &str) -> Result<(usize, usize, usize)> {
    parts::<usize, 3>(text).map(|[a, b, c]| (a, b, c))
}

fn shares(text: &str) -> Result<(f64, f64)> {
    parts::<f64, 2>(text).map(|[a, b]| (a, b))
}
