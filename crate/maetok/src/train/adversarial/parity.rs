//! Losses, augmentation and the full-size discriminator against the numbers of the official code.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use maetok_tests::{Fixture, HashScales, Tolerance, assert_close, cpu, devices, keys};

use super::losses::{GanLoss, generator};
use super::{AugmentDraws, AugmentPolicy, DinoConfig, Discriminator, LeCam, Mode};
use crate::checkpoint;
use crate::tokenizer::hash_weights;

/// Names of `fixture` that were not compared.
fn unchecked(fixture: &Fixture, seen: &BTreeSet<String>) -> Vec<String> {
    fixture.names().into_iter().filter(|name| !seen.contains(name)).collect()
}

#[test]
fn parity_adversarial_losses_and_augmentation() {
    let fixture = Fixture::open("adversarial.safetensors");
    for on in devices() {
        let mut seen = BTreeSet::new();
        let mut close = |name: &str, got: Tensor<1>| {
            fixture.assert_close(name, &on, got, Tolerance::SINGLE_MODULE);
            seen.insert(name.to_owned());
        };
        let logits = |name: &str| fixture.tensor::<2>(name, &on.device);
        let (real, fake) = (logits("real"), logits("fake"));
        close("hinge_d", GanLoss::Hinge.discriminator(real.clone(), fake.clone()));
        close("vanilla_d", GanLoss::Logistic.discriminator(real.clone(), fake.clone()));
        close("hinge_g", generator(fake.clone()));
        // The official non-saturating losses give the cross-entropy of the logits' target the constant 1 (or 0) as input:
        // softplus(1) - logit (or ln 2). That is the generator's loss above plus a constant, and nothing of its own.
        let softplus_of_1 = 1f64.exp().ln_1p();
        close("nonsat_g", generator(fake.clone()) + softplus_of_1);
        close("nonsat_d", (generator(real) + softplus_of_1 + std::f64::consts::LN_2) * 0.5);
        seen.extend(["real".to_owned(), "fake".to_owned()]);

        let (shape, rows) = fixture.f32("lecam.rows");
        let mut lecam = LeCam::new(&on.device);
        for (step, row) in rows.chunks_exact(3).enumerate() {
            let names = ["real", "fake"].map(|side| format!("lecam{step}.{side}"));
            let [real, fake] = [&names[0], &names[1]].map(|name| logits(name));
            lecam = lecam.updated(&real, &fake);
            let found = [lecam.lecam_real.val(), lecam.lecam_fake.val(), lecam.regulariser(real, fake)];
            let found = found.map(|value| value.into_scalar::<f32>());
            // The means are 1e-3: the usual absolute allowance would pass a mean that is off by a hundredth.
            let tolerance = Tolerance { abs: 1e-8, ..Tolerance::SINGLE_MODULE };
            assert_close(fixture.name(), &format!("lecam.rows[{step}]"), &on.label, &found, row, tolerance);
            seen.extend(names);
        }
        assert_eq!(rows.len(), 3 * shape[0]);
        seen.insert("lecam.rows".to_owned());

        for (name, policy) in [("aug0", AugmentPolicy::WEAK), ("aug1", AugmentPolicy::STRONG)] {
            let picture = fixture.tensor::<4>(&format!("{name}.in"), &on.device);
            let (draws, used) = recorded_draws(&fixture, name, policy);
            let out = format!("{name}.out");
            fixture.assert_close(&out, &on, draws.apply(picture), Tolerance::SINGLE_MODULE);
            seen.extend(used);
            seen.extend([format!("{name}.in"), out]);
        }
        assert!(unchecked(&fixture, &seen).is_empty(), "not compared: {:?}", unchecked(&fixture, &seen));
    }
}

/// The draws recorded for an augmentation, in the order in which the official code draws, and their names. What it did
/// not draw, because a gate was closed, is zero here.
fn recorded_draws(fixture: &Fixture, name: &str, policy: AugmentPolicy) -> (AugmentDraws, Vec<String>) {
    let prefix = format!("{name}.draw");
    let used: Vec<String> = fixture.names().into_iter().filter(|name| name.starts_with(&prefix)).collect();
    let batch = fixture.shape(&format!("{name}.in"))[0];
    let mut draws = AugmentDraws {
        policy,
        gates: [1.0; 3],
        colour: vec![[0.0; 3]; batch],
        shift: vec![[0; 2]; batch],
        centre: vec![[0; 2]; batch],
    };
    let mut rows = used.iter().map(|name| fixture.f32(name).1);
    let mut next = || rows.next().expect("a recorded draw");
    for policy in 0..3 {
        draws.gates[policy] = f64::from(next()[0]);
        if !draws.open()[policy] {
            continue;
        }
        // Colour draws three numbers per picture; the other two draw rows, then columns.
        for place in 0..if policy == 0 { 3 } else { 2 } {
            for (picture, value) in next().into_iter().enumerate() {
                match policy {
                    0 => draws.colour[picture][place] = f64::from(value),
                    1 => draws.shift[picture][place] = value as isize,
                    _ => draws.centre[picture][place] = value as usize,
                }
            }
        }
    }
    assert_eq!(rows.count(), 0, "draws of {name} that nothing used");
    (draws, used)
}

/// Full size on the CPU only: a forward pass of the trunk takes a second there and minutes on software adapters. That the
/// devices agree is tested at a small size, beside this file.
#[test]
fn parity_discriminator_dino() {
    let fixture = Fixture::open("discriminator.safetensors");
    let on = cpu();
    let scales = HashScales::of(fixture.entry());
    // The statistics of ImageNet, which the table lists as buffers, are the true ones in the reference, not hashed.
    let trunk = hash_weights(&scales, "dino.", "discriminator-dino-vits16");
    let trunk = DinoConfig::vit_s16().load(&trunk, &on.device).unwrap();
    let heads = hash_weights(&scales, "disc.", "discriminator-heads");
    let fresh = Discriminator::on_trunk(trunk.clone(), &on.device).load(&heads).unwrap();

    let mut seen = BTreeSet::new();
    for name in fixture.names() {
        let Some(size) = name.strip_prefix("img") else { continue };
        let picture = fixture.tensor::<4>(&name, &on.device);
        for (index, readout) in trunk.forward(picture.clone(), None).into_iter().enumerate() {
            let values: Vec<f32> = readout.into_data().try_to_vec().unwrap();
            let some: Vec<f32> = values.into_iter().step_by(97).collect();
            let name = format!("act{size}.{index}.sub");
            fixture.assert_close(&name, &on, &some, Tolerance::WHOLE_MODEL);
            seen.insert(name);
        }
        for (mode, what) in [(Mode::Training, "train"), (Mode::Evaluation, "eval")] {
            let name = format!("logits_{what}{size}");
            let logits = fresh.clone().forward(picture.clone(), None, mode);
            fixture.assert_close(&name, &on, logits, Tolerance::WHOLE_MODEL);
            seen.insert(name);
        }
        seen.insert(name);
    }
    assert!(unchecked(&fixture, &seen).is_empty(), "not compared: {:?}", unchecked(&fixture, &seen));
}

#[test]
fn the_heads_are_saved_under_the_official_keys() {
    let trunk = DinoConfig::vit_s16().init(&cpu().device);
    let bytes = Discriminator::on_trunk(trunk, &cpu().device).save(&Default::default()).unwrap();
    let mut want: Vec<(String, Vec<usize>)> = keys("discriminator-heads")
        .into_iter()
        .filter(|key| key.dtype == "float32")
        .map(|key| (key.name, key.shape))
        .collect();
    want.sort();
    let saved = checkpoint::tensor_names(&bytes).unwrap();
    let got: Vec<_> = saved.into_iter().map(|(name, _, shape)| (name, shape)).collect();
    assert_eq!(got, want);
}
