//! One training forward and backward of the official code: teachers, auxiliary decoders, losses, adaptive weight, every
//! gradient.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use maetok_tests::{Fixture, TestDevice, Tolerance, Values, devices, hash_uniform, manifest};
use safetensors::SafeTensors;
use serde_json::Value;

use super::{Batch, Losses, Objective};
use crate::checkpoint::{self, Storage};
use crate::tokenizer::masking::masked_count;
use crate::tokenizer::{
    AuxiliaryDecoderConfig, AuxiliaryDecoders, TargetKind, Tokenizer, TokenizerConfig, VitSize, reference_config,
};
use crate::train::hog;
use crate::train::losses::{Hidden, adaptive_weight, by_reconstruction, pixels};
use crate::train::optimiser::with_stable_ids;
use crate::train::parity::check_hog;
use crate::train::teacher::{Teacher, TeacherConfig, imagenet_normalised};

/// Ratio of SigLIP's MLP to its width.
const SIGLIP_MLP: f64 = 3.7362;

/// The teachers under the names that the official model gives them.
#[derive(Module, Debug)]
struct Teachers {
    repa_model: Teacher,
    clip_model: Teacher,
}

/// What has gradients.
#[derive(Module, Debug)]
struct Trained {
    tokenizer: Tokenizer,
    auxiliary: AuxiliaryDecoders,
}

struct Reference {
    acts: Fixture,
    weights: Fixture,
    grads: Fixture,
    config: TokenizerConfig,
}

impl Reference {
    fn open() -> Self {
        let acts = Fixture::open("train.acts.safetensors");
        let config = reference_config(&acts);
        let [weights, grads] = ["weights", "grads"].map(|part| Fixture::open(&format!("train.{part}.safetensors")));
        Self { acts, weights, grads, config }
    }

    /// A size of the shrunken networks.
    fn tiny(&self, name: &str) -> usize {
        self.acts.entry()["config"]["tiny"][name].as_u64().unwrap_or_else(|| panic!("no size {name}")) as usize
    }

    fn size(&self, of: &str) -> VitSize {
        let [width, depth, heads] = ["width", "depth", "heads"].map(|what| self.tiny(&format!("{of}_{what}")));
        VitSize { width, depth, heads }
    }

    fn teachers(&self, on: &TestDevice) -> Teachers {
        let (dino, clip, side) = (self.size("dino"), self.size("clip"), self.config.image_size);
        let dino = TeacherConfig { size: dino, mlp: 4 * dino.width, ..TeacherConfig::dinov2_large(side) };
        let mlp = (clip.width as f64 * SIGLIP_MLP) as usize;
        let clip = TeacherConfig { size: clip, mlp, ..TeacherConfig::siglip_so400m(side) };
        let fresh = Teachers { repa_model: dino.init(&on.device).unwrap(), clip_model: clip.init(&on.device).unwrap() };
        checkpoint::load(fresh, &[self.weights.bytes()]).unwrap().0
    }

    fn trained(&self, on: &TestDevice) -> Trained {
        let device = on.device.clone().autodiff();
        let VitSize { width, depth, heads } = self.size("aux");
        let auxiliary = AuxiliaryDecoders::new(|kind| {
            let target = match kind {
                TargetKind::Hog => hog::target_size(self.config.patch_size),
                TargetKind::Dino => self.size("dino").width,
                TargetKind::Clip => self.size("clip").width,
                TargetKind::EfficientNet => return None,
            };
            let sizes = AuxiliaryDecoderConfig::new(target).with_width(width).with_depth(depth).with_heads(heads);
            Some(sizes.init(&self.config, &device))
        });
        let tokenizer = self.config.init(&device).unwrap();
        let bytes = &[self.weights.bytes()];
        with_stable_ids(Trained {
            tokenizer: checkpoint::load(tokenizer, bytes).unwrap().0,
            auxiliary: checkpoint::load(auxiliary, bytes).unwrap().0,
        })
    }

    /// The recorded masks: the first `masked_count` patches of each order.
    fn hidden(&self) -> Vec<Vec<bool>> {
        let entry = self.acts.entry();
        let (shape, orders) = self.acts.i64("orders");
        let patches = shape[1];
        let count = masked_count(patches, entry["mask_rate"].as_f64().unwrap());
        assert_eq!(Value::from(count), entry["masked_count"]);
        let mask = |order: &[i64]| {
            let mut mask = vec![false; patches];
            order[..count].iter().for_each(|patch| mask[*patch as usize] = true);
            mask
        };
        orders.chunks(patches).map(mask).collect()
    }
}

/// Whether the committed copy of a reference file says that it leaves this tensor out for its size.
fn left_out(fixture: &Fixture, name: &str) -> bool {
    manifest()["left_out"][fixture.name()].as_array().is_some_and(|names| names.iter().any(|left| left == name))
}

/// Compares, unless the tensor is one of those left out.
fn check(fixture: &Fixture, on: &TestDevice, name: &str, got: impl Values, tolerance: Tolerance) {
    if !left_out(fixture, name) {
        fixture.assert_close(name, on, got, tolerance);
    }
}

#[test]
fn parity_stage_1_losses_targets_and_every_gradient() {
    let reference = Reference::open();
    for on in devices() {
        let teachers = reference.teachers(&on);
        let trained = reference.trained(&on);
        let batch = check_targets(&reference, &on, &teachers);
        let losses = Objective::default().losses(&trained.tokenizer, &trained.auxiliary, batch.clone());
        let predictions = check_predictions(&reference, &on, &trained, &losses);
        check_losses(&reference, &on, &losses);
        check_adaptive_weight(&reference, &on, &losses, &batch.picture);
        let grads = GradientsParams::from_grads(losses.total.backward(), &trained);
        check_gradients(&reference, &on, &trained, &grads);
        check_without_mask(&on, &trained, batch, &predictions);
    }
}

/// Every tensor of the three files is one that this test compares, feeds in, or knows to be of no use.
#[test]
fn parity_stage_1_leaves_no_tensor_unused() {
    let reference = Reference::open();
    let on = maetok_tests::cpu();
    let Trained { tokenizer, auxiliary } = reference.trained(&on);
    let keys = |shapes: Vec<(String, Vec<usize>)>| shapes.into_iter().map(|(key, _)| key);
    let trained: BTreeSet<String> =
        keys(checkpoint::shapes(&tokenizer)).chain(keys(checkpoint::shapes(&auxiliary))).collect();
    let teachers: BTreeSet<String> = keys(checkpoint::shapes(&reference.teachers(&on))).collect();
    let unread: Vec<String> = reference
        .weights
        .names()
        .into_iter()
        .filter(|name| !trained.contains(name) && !teachers.contains(name))
        .filter(|name| !name.ends_with(".freqs_t_x") && !name.ends_with(".freqs_t_y"))
        // HOG's constants are compared by a test of their own; no decoder reads a picture.
        .filter(|name| !name.starts_with("hog_generator."))
        .filter(|name| !(name.starts_with("decoder") && name.contains(".model.p")))
        .collect();
    assert!(unread.is_empty(), "weights that nothing reads: {unread:?}");

    let mut with_gradient: BTreeSet<String> = reference.grads.names().into_iter().collect();
    with_gradient.extend(trained.iter().filter(|name| left_out(&reference.grads, name)).cloned());
    assert_eq!(with_gradient, trained, "what has a gradient there and what is trained here");

    let compared = BTreeSet::from(ACTS.map(str::to_owned));
    let names: BTreeSet<String> = reference.acts.names().into_iter().collect();
    let unknown: Vec<&String> = names.difference(&compared).collect();
    assert!(unknown.is_empty(), "nothing is compared with {unknown:?}");
    let missing: Vec<&String> = compared.difference(&names).filter(|name| !left_out(&reference.acts, name)).collect();
    assert!(missing.is_empty(), "the reference lacks {missing:?}");
}

/// The tensors of `train.acts` that the test above compares or feeds in.
const ACTS: [&str; 20] = [
    "in.image",
    "orders",
    "mask",
    "z",
    "recon",
    "hog.decoder_out",
    "hog.pred",
    "hog.target",
    "dino.pred",
    "dino.teacher_in.every_29th",
    "dino.teacher_out_with_cls",
    "clip.pred",
    "clip.teacher_in.every_29th",
    "clip.teacher_out",
    "loss.mse",
    "loss.hog",
    "loss.dino",
    "loss.clip",
    "loss.total",
    "adaptive.weight",
];

/// The teachers' inputs and outputs, the histograms, the mask; returns them as a training step's input.
fn check_targets(reference: &Reference, on: &TestDevice, teachers: &Teachers) -> Batch {
    let Reference { acts, config, .. } = reference;
    let image = acts.tensor::<4>("in.image", &on.device);
    let Teachers { repa_model: dino, clip_model: clip } = teachers;
    let seen = imagenet_normalised(image.clone());
    let values: Vec<f32> = seen.clone().into_data().try_to_vec().unwrap();
    let some: Vec<f32> = values.into_iter().step_by(29).collect();
    for teacher in ["dino", "clip"] {
        check(acts, on, &format!("{teacher}.teacher_in.every_29th"), &some, Tolerance::SINGLE_MODULE);
    }
    check(acts, on, "dino.teacher_out_with_cls", dino.tokens(seen), Tolerance::WHOLE_MODEL);
    let targets = [(TargetKind::Dino, dino.targets(image.clone())), (TargetKind::Clip, clip.targets(image))];
    check(acts, on, "clip.teacher_out", &targets[1].1, Tolerance::WHOLE_MODEL);

    let histograms = hog::targets(acts.tensor("in.image", &on.device), config.patch_size);
    if !left_out(acts, "hog.target") {
        check_hog(acts, on, "hog.target", histograms.clone().into_data());
    }

    let masks = reference.hidden();
    let flags: Vec<f32> = masks.iter().flatten().map(|hidden| f32::from(u8::from(*hidden))).collect();
    acts.assert_close("mask", on, &flags, Tolerance::EXACT);
    let device = on.device.clone().autodiff();
    let mut batch = Batch::new(acts.tensor::<4>("in.image", &device));
    batch.hidden = Some(Hidden::new(&masks, &device));
    batch.targets = [(TargetKind::Hog, histograms)].into_iter().chain(targets).collect();
    batch
}

/// Latents, reconstruction, and what the auxiliary decoders predict, which is returned.
fn check_predictions(
    reference: &Reference,
    on: &TestDevice,
    trained: &Trained,
    losses: &Losses,
) -> Vec<(TargetKind, Tensor<3>)> {
    let acts = &reference.acts;
    let z = losses.z.clone().inner();
    check(acts, on, "z", &z, Tolerance::WHOLE_MODEL);
    check(acts, on, "recon", losses.reconstruction.clone().inner(), Tolerance::WHOLE_MODEL);
    let hog = trained.auxiliary.hog.as_ref().expect("a HOG decoder");
    check(acts, on, "hog.decoder_out", hog.tokens(z.clone()).inner(), Tolerance::WHOLE_MODEL);
    let predict = |kind: TargetKind| {
        let decoder = trained.auxiliary.get(kind).expect("all three decoders");
        let prediction = decoder.forward(z.clone()).inner();
        check(acts, on, &format!("{}.pred", kind.name()), &prediction, Tolerance::WHOLE_MODEL);
        (kind, prediction)
    };
    TargetKind::OFFICIAL.map(predict).into()
}

fn check_losses(reference: &Reference, on: &TestDevice, losses: &Losses) {
    let total = ("total", losses.total.clone());
    let named = losses.parts.iter().chain([&total]);
    let names: Vec<&str> = named
        .map(|(name, value)| {
            let value = value.clone().inner();
            // Means over thousands of values agree better than the values do.
            reference.acts.assert_close(&format!("loss.{name}"), on, value, Tolerance::SINGLE_MODULE);
            *name
        })
        .collect();
    assert_eq!(names, ["mse", "hog", "dino", "clip", "total"]);
}

fn check_adaptive_weight(reference: &Reference, on: &TestDevice, losses: &Losses, picture: &Tensor<4>) {
    let Losses { reconstruction, tokens, .. } = losses;
    let (_, by_mse) = by_reconstruction(reconstruction, |x| pixels(x, picture.clone()));
    let shape = reconstruction.dims();
    let noise = hash_uniform("adaptive.R", shape.iter().product());
    let noise = Tensor::<4>::from_data(TensorData::new(noise, shape), &reconstruction.device());
    let (_, by_adversary) = by_reconstruction(reconstruction, |x| -(x * noise).mean());
    let weight = adaptive_weight(tokens.clone(), by_mse, by_adversary, reference.config.patch_size);
    assert!(!weight.is_autodiff(), "the weight is a constant");
    reference.acts.assert_close("adaptive.weight", on, weight, Tolerance { abs: 0.0, ..Tolerance::WHOLE_MODEL });
}

fn values(of: impl Values) -> Vec<f32> {
    of.values().1
}

/// Puts gradients where the parameters were, zero where there is none, to read them under the official keys.
struct GradientOrZero<'a>(&'a GradientsParams);

impl ModuleMapper for GradientOrZero<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let grad = self.0.get::<D>(param.id).unwrap_or_else(|| param.val().inner().zeros_like());
        Param::initialized(param.id, grad)
    }
}

fn by_key<M: Module>(module: &M, grads: &GradientsParams) -> BTreeMap<String, Vec<f32>> {
    let module = module.clone().map(&mut GradientOrZero(grads));
    let bytes = checkpoint::save(&module, Storage::F32, &BTreeMap::new()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    file.iter().map(|(key, view)| (key.to_owned(), floats(view.data()))).collect()
}

/// Every gradient, within a share of the largest value of its tensor: many tensors are smaller as a whole than the
/// absolute allowance of a whole model. The last modulations, which nothing reads, have exactly none.
///
/// Worst measured: 2.5e-6 of the largest value on the CPU and 8.8e-4 on wgpu, where Burn 0.22.1 differentiates the exact
/// GELU by the slope of its tanh form.
fn check_gradients(reference: &Reference, on: &TestDevice, trained: &Trained, grads: &GradientsParams) {
    let mut got = by_key(&trained.tokenizer, grads);
    got.extend(by_key(&trained.auxiliary, grads));
    for name in reference.grads.names() {
        let got = got.get(&name).unwrap_or_else(|| panic!("{name} is not trained"));
        reference.grads.assert_close(&name, on, got, Tolerance::WHOLE_TENSOR);
    }
}

/// With the official `aux_loss_mask` off, a loss is the plain mean over all patches.
fn check_without_mask(on: &TestDevice, trained: &Trained, batch: Batch, predictions: &[(TargetKind, Tensor<3>)]) {
    let everywhere = Objective { hidden_only: false, ..Objective::default() };
    let targets = batch.targets.clone();
    let losses = everywhere.losses(&trained.tokenizer, &trained.auxiliary, batch);
    for ((kind, prediction), (same, target)) in predictions.iter().zip(&targets) {
        assert_eq!(kind, same);
        let [batch, patches, width] = prediction.dims();
        let (prediction, target) = (values(prediction), values(target));
        let rows = prediction.chunks_exact(width).zip(target.chunks_exact(width));
        let sum: f64 = rows.map(|(prediction, target)| distance(*kind, prediction, target)).sum();
        let want = sum / (batch * patches) as f64;
        let (_, part) = losses.parts.iter().find(|(name, _)| *name == kind.name()).expect("a part");
        let got = f64::from(part.clone().inner().into_scalar::<f32>());
        assert!((got - want).abs() < 1e-5 + 1e-4 * want.abs(), "{kind:?} on {}: {got}, not {want}", on.label);
    }
}

/// The distance of one patch in f64, written once more.
fn distance(kind: TargetKind, prediction: &[f32], target: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match kind {
        TargetKind::Hog => {
            let difference: Vec<f32> = prediction.iter().zip(target).map(|(p, t)| p - t).collect();
            dot(&difference, &difference) / prediction.len() as f64
        }
        TargetKind::Dino | TargetKind::Clip | TargetKind::EfficientNet => {
            -dot(prediction, target) / (dot(prediction, prediction) * dot(target, target)).sqrt()
        }
    }
}
