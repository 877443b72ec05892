//! What the second stage leaves as it is, and what it moves.

use burn::tensor::{Device, Tensor};

use super::*;
use crate::diffusion::SitConfig;
use crate::train::optimiser::AdamW;
use crate::train::pack::{Pack, pack};
use crate::train::{DiffusionTrainer, DiffusionTraining};

/// A first stage of two updates in `dir/first`, on pictures in `dir/data`.
pub(super) fn first_stage(dir: &Path) -> (PathBuf, PathBuf) {
    let (data, first) = (dir.join("data"), dir.join("first"));
    draw_pictures(&data, 8);
    trained(TokenizerTraining { adversarial: patch(0), ..settings(&data, 2) }, &first, false);
    (data, first)
}

/// What the second stage of a run in `from` is.
pub(super) fn second_stage(data: &Path, from: &Path, steps: u64) -> TokenizerTraining {
    TokenizerTraining {
        init_from: Some(from.to_path_buf()),
        unmask_from: Some(0.0),
        freeze_encoder: true,
        hog: 0.0,
        perceptual: perceptual(0.5),
        adversarial: patch(0),
        workers: 2,
        adamw: AdamW { weight_decay: 0.1, ..TokenizerTraining::default().adamw },
        ..settings(data, steps)
    }
}

#[test]
fn the_second_stage_leaves_encoder_and_latents_as_they_are_to_the_last_bit_and_moves_the_decoder() {
    let dir = tempfile::tempdir().unwrap();
    let (data, first) = first_stage(dir.path());
    let second = dir.path().join("second");
    let trainer = trained(second_stage(&data, &first, 4), &second, false);
    assert!(trainer.notices().iter().any(|notice| notice.contains("goes on from")), "{:?}", trainer.notices());
    let before = tensors(&first.join("checkpoints/step-00000002/model.safetensors"));
    for file in ["model", "raw"] {
        let after = tensors(&second.join(format!("checkpoints/step-00000004/{file}.safetensors")));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (key, bytes) in &before {
            let frozen = key.starts_with("encoder.") || key.starts_with("quant_conv.");
            // What makes no difference to a picture has no gradient, and so moves at most by its decay.
            let idle = key.starts_with("decoder.model.norm.") || key.starts_with("decoder.model.patch_embed.");
            assert!(idle || (after[key] == *bytes) == frozen, "{key} of {file}");
        }
    }
    assert!(!second.join("checkpoints/step-00000004/auxiliary.safetensors").exists());

    let device = Device::flex();
    let picture = Tensor::<4>::from_data(pictures(), &device);
    let latents = |run: &Path| -> Vec<f32> {
        let tokenizer = Source::find(run).unwrap().load(&device).unwrap();
        tokenizer.encode(picture.clone(), None).into_data().try_to_vec().unwrap()
    };
    assert_eq!(latents(&first), latents(&second));
    let hidden = |step: u64| {
        let masks = trainer.masks(step, step as f64 / 16.0);
        masks.map_or(0, |masks| masks[0].iter().filter(|hidden| **hidden).count())
    };
    assert!(hidden(0) >= 7 && (1..5).contains(&hidden(8)) && hidden(16) == 0, "the mask ratio falls to 0");
}

#[test]
fn a_generator_of_the_first_stage_is_packed_with_the_decoder_of_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let (data, first) = first_stage(dir.path());
    let [second, generator, model] = ["second", "generator", "model"].map(|name| dir.path().join(name));
    trained(second_stage(&data, &first, 1), &second, false);
    let settings = DiffusionTraining {
        data: data.clone(),
        tokenizer: first.clone(),
        pace: settings(&data, 1).pace,
        batch: 2,
        ..DiffusionTraining::default()
    };
    let sit = SitConfig { width: 32, depth: 1, heads: 2, ..SitConfig::toon(2) };
    DiffusionTrainer::new(settings, sit, &generator, false, &Device::flex()).unwrap().run().unwrap();
    pack(&Pack { generator: Some(generator), ..Pack::new(&second) }, &model).unwrap();

    // And that folder is a beginning too: without a discriminator, which no folder has.
    let third = dir.path().join("third");
    let trainer = trained(second_stage(&data, &model, 1), &third, false);
    assert!(!trainer.notices().iter().any(|notice| notice.contains("discriminator")), "{:?}", trainer.notices());
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    assert!(read(third.join("run.json")).contains("init_from"), "the run says what it began with");
}
