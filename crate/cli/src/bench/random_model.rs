//! `maetok bench random`: a model folder of published sizes and random weights.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use maetok::checkpoint::{self, ClassEntry, Folder, Manifest, Part, Storage};
use maetok::diffusion::{GeneratorConfig, SitConfig};
use maetok::tokenizer::{TokenizerConfig, VitSize};
use maetok::{Device, bench};

use crate::settings::number;

/// Arguments of `maetok bench random`.
#[derive(Args)]
pub struct Arguments {
    /// Model folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Blocks of encoder, decoder and generator; one is enough to compare, and quick.
    #[arg(long, default_value_t = 1, value_parser = number::<usize>("blocks", "a number from 1"))]
    blocks: usize,
    /// Latent tokens: 128 as published, 1024 as the paper compares with.
    #[arg(long, default_value_t = 128, value_parser = number::<usize>("tokens", "a number from 1"))]
    tokens: usize,
    /// The included model's widths and blocks instead of the published ones.
    #[arg(long, conflicts_with = "blocks")]
    small: bool,
}

/// Runs the command: MAETok-B at 256 pixels (385 tokens in its encoder) and SiT-XL.
pub fn run(arguments: &Arguments) -> Result<()> {
    let device = Device::flex();
    device.seed(0);
    let base = VitSize { width: 768, depth: arguments.blocks, heads: 12 };
    let (config, sit) = match arguments.small {
        true => (TokenizerConfig::toon_128(), SitConfig::toon_128(28)),
        false => {
            let config = TokenizerConfig { encoder: base, decoder: base, ..TokenizerConfig::base_128(256) };
            (config, SitConfig { depth: arguments.blocks, ..SitConfig::xl() })
        }
    };
    let config = TokenizerConfig { latent_tokens: arguments.tokens, ..config };
    let sit = SitConfig { tokens: arguments.tokens, ..sit };
    let none = BTreeMap::new();
    let tokenizer = bench::randomised(config.init(&device)?);
    let tokenizer = Part { config: config.to_json(), weights: checkpoint::save(&tokenizer, Storage::F16, &none)? };
    let classes = sit.classes;
    let sit = GeneratorConfig::from(sit);
    let generator = bench::randomised(sit.init(&device)?);
    let generator = Part { config: sit.to_json(), weights: checkpoint::save(&generator, Storage::F16, &none)? };
    let mut manifest = Manifest::draft("random", config.image_size);
    "CC0-1.0".clone_into(&mut manifest.license);
    "Random numbers; draws noise".clone_into(&mut manifest.origin);
    let class = |i| ClassEntry { name: format!("{i}"), label: format!("{i}"), group: String::new(), thumbnail: None };
    manifest.classes = (0..classes).map(class).collect();
    let card = "# Random weights\n\nFor measuring speed.\n".to_owned();
    let folder = Folder { manifest, tokenizer, generator: Some(generator), card, extra: BTreeMap::new() };
    checkpoint::write_folder(&arguments.out, &folder)?;
    Ok(())
}
