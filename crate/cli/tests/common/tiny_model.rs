//! A model folder with random weights: pictures of 16 pixels in the classes lorelei, big-ears and bottts.

use std::collections::BTreeMap;
use std::path::Path;

use maetok::Device;
use maetok::checkpoint::{ClassEntry, Folder, Manifest, Part, Storage, save, shapes, write_folder};
use maetok::diffusion::SitConfig;
use maetok::rng::Rng;
use maetok::tokenizer::{TokenizerConfig, VitSize};

/// Random values for every tensor: fresh weights are zero where it matters (adaLN, the last layer), and then nothing
/// depends on the noise.
fn random(shapes: Vec<(String, Vec<usize>)>) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut rng = Rng::new(1, 0);
    let mut values = |n: usize| rng.normals(n).iter().map(|v| 0.3 * *v as f32).collect();
    shapes.into_iter().map(|(name, shape)| (name, (shape.clone(), values(shape.iter().product())))).collect()
}

/// Writes it; without `generator` it can only reconstruct.
pub fn write_model(at: &Path, generator: bool) {
    let device = Device::flex();
    let small = VitSize { width: 32, depth: 2, heads: 2 };
    let tokenizer = TokenizerConfig {
        image_size: 16,
        patch_size: 8,
        latent_tokens: 4,
        latent_channels: 4,
        encoder: small,
        decoder: small,
        ..TokenizerConfig::base_128(16)
    };
    let sit = SitConfig { tokens: 4, channels: 4, width: 32, depth: 2, heads: 2, classes: 3, ..SitConfig::xl() };
    let class = |name: &str, label: &str| ClassEntry {
        name: name.to_owned(),
        label: label.to_owned(),
        group: "Avatars".to_owned(),
        thumbnail: None,
    };
    let mut manifest = Manifest::draft("tiny", 16);
    manifest.classes = vec![class("lorelei", "Lorelei"), class("big-ears", "Big Ears"), class("bottts", "Bottts")];
    let (encoder, sampler) = (tokenizer.init(&device).expect("builds"), sit.init(&device).expect("builds"));
    let tokenizer = Part {
        config: tokenizer.to_json(),
        weights: save(&encoder, Storage::F32, &random(shapes(&encoder))).expect("saves"),
    };
    let generator = generator.then(|| Part {
        config: sit.to_json(),
        weights: save(&sampler, Storage::F16, &random(shapes(&sampler))).expect("saves"),
    });
    let folder = Folder { manifest, tokenizer, generator, card: "# Tiny\n".to_owned(), extra: BTreeMap::new() };
    write_folder(at, &folder).expect("writes");
}
