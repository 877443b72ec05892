//! The gradients of an update against those of its terms, taken one by one.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::nn::Precision;
use crate::train::devices::Devices;
use crate::train::hog;
use crate::train::losses::{Hidden, pixels};
use crate::train::objective::Batch;

/// Every gradient in a row, by the path of its parameter; empty where there is none.
fn rows(model: &Trained, grads: &GradientsParams) -> BTreeMap<String, Vec<f32>> {
    struct Rows<'a>(Vec<String>, &'a GradientsParams, BTreeMap<String, Vec<f32>>);
    impl ModuleVisitor for Rows<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let row = self.1.get::<D>(param.id).map(|gradient| gradient.into_data().try_to_vec().unwrap());
            self.2.insert(self.0.join("."), row.unwrap_or_default());
        }
    }
    let mut rows = Rows(Vec::new(), grads, BTreeMap::new());
    model.visit(&mut rows);
    rows.2
}

/// Euclidean norm.
fn length(row: &[f32]) -> f64 {
    row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// The batch in so many parts.
fn cut(parts: usize) -> Vec<Part> {
    let (values, each) = (pictures().try_to_vec::<f32>().unwrap(), 4 / parts);
    let part = |values: &[f32]| Part {
        pictures: TensorData::new(values.to_vec(), [each, 3, SIZE, SIZE]),
        noise: None,
        drop_path: None,
    };
    values.chunks_exact(each * 3 * SIZE * SIZE).map(part).collect()
}

/// By how much gradients differ, the most of all tensors, in shares of the tensor's largest value; what is next to
/// nothing in the whole model counts little.
fn difference(got: &BTreeMap<String, Vec<f32>>, want: &BTreeMap<String, Vec<f32>>) -> f32 {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    let largest = |row: &[f32]| row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    let of_all = want.values().map(|row| largest(row)).fold(0.0, f32::max);
    let worst = |(name, got): (&String, &Vec<f32>)| {
        let want = &want[name];
        assert_eq!(got.len(), want.len(), "{name}");
        let pairs = got.iter().zip(want);
        pairs.fold(0.0f32, |max, (got, want)| max.max((got - want).abs())) / (largest(want) + 1e-4 * of_all)
    };
    got.iter().map(worst).fold(0.0, f32::max)
}

#[test]
fn the_gradients_of_a_run_are_those_of_the_sum_of_its_terms_however_the_batch_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let config = tiny();
    let (w_p, w_a) = (0.7, 0.4);
    for adversarial in [patch(0), dino(dir.path(), 0)] {
        let run = TokenizerTraining {
            teachers: vec![efficientnet()],
            perceptual: perceptual(w_p),
            adversarial,
            ..settings(dir.path(), 1)
        };
        let auxiliary = AuxiliaryDecoders::new(|kind| {
            let sizes = AuxiliaryDecoderConfig::new(run.target_size(kind, &config)?);
            Some(sizes.with_width(32).with_depth(1).with_heads(2).init(&config, &device))
        });
        let size = VitSize { width: 32, depth: 1, heads: 2 };
        let tokenizer = config.init(&device).unwrap().with_spatial_start(&config);
        let model = with_stable_ids(Trained { tokenizer, auxiliary: auxiliary.with_spatial_start(&config, size) });
        let networks = [Arc::new(Networks::load(&run, &config, &device).unwrap())];
        let Networks { teachers, perceptual: Some(network) } = &*networks[0] else { panic!("a perceptual network") };
        let trunk = Trunk::load(&run.adversarial, &device).unwrap();
        let opponent = Opponent::new(&run, trunk, config.patch_size, &device).unwrap().unwrap();
        let draws = opponent.draws(3, SIZE);
        let masks = random_masks(&mut Rng::new(5, 0), 4, config.patches(), 0.5);

        // By hand: a graph for each number, and the factor from the gradients of the last layer themselves.
        let forward = || {
            let picture = Tensor::<4>::from_data(pictures(), &device);
            let hog = (TargetKind::Hog, hog::targets(picture.clone(), config.patch_size));
            let batch = Batch {
                hidden: Some(Hidden::new(&masks, &device)),
                targets: [hog].into_iter().chain(teachers.targets(&picture)).collect(),
                ..Batch::new(picture.clone())
            };
            let losses = run.objective().losses(&model.tokenizer, &model.auxiliary, batch);
            let pixels = pixels(losses.reconstruction.clone(), picture.clone());
            let looks = network.mean(losses.reconstruction.clone(), picture);
            let generator = opponent.loss(losses.reconstruction, &draws);
            (losses.total, pixels, looks, generator)
        };
        let slope = |loss: Tensor<1>| rows(&model, &GradientsParams::from_grads(loss.backward(), &model));
        let last = |loss| length(&slope(loss)["tokenizer.decoder.to_pixel.model.weight"]);
        let (_, mse, looks, _) = forward();
        let of_rest = last(mse + looks * w_p);
        let factor = of_rest / (last(forward().3) + 1e-4);
        let (total, _, looks, generator) = forward();
        let numbers = [&total, &looks, &generator].map(|term| number(term.clone()));
        let want_loss = numbers[0] + w_p * numbers[1] + w_a * factor * numbers[2];
        let want = slope(total + looks * w_p + generator * (w_a * factor));

        let of_run = |perceptual, adversarial: bool, parts| {
            let step = Step {
                objective: run.objective(),
                precision: Precision::F32,
                networks: &networks,
                perceptual,
                opponent: adversarial.then_some((&opponent, w_a, &draws)),
                devices: &Devices::from(&device),
            };
            let ((value, values, grads), _) = step.gradients(&model, cut(parts), Some(&masks)).unwrap();
            (value, BTreeMap::from_iter(values), rows(&model, &grads))
        };
        for parts in [1, 2] {
            let (value, values, got) = of_run(w_p, true, parts);
            assert!((value - want_loss).abs() < 1e-4 * want_loss.abs(), "{value}, not {want_loss}, in {parts} parts");
            let named = ["perceptual", "generator", "adaptive"].map(|name| values[name]);
            for (got, want) in named.into_iter().zip([numbers[1], numbers[2], factor]) {
                assert!((got - want).abs() < 1e-4 + 1e-3 * want.abs(), "{got}, not {want}, in {parts} parts");
            }
            let off = difference(&got, &want);
            assert!(off < 2e-3, "{off} in {parts} parts");
        }
        for (perceptual, adversarial) in [(0.0, true), (w_p, false)] {
            let off = difference(&of_run(perceptual, adversarial, 1).2, &want);
            assert!(off > 0.02, "a term that makes no difference was not tested: {off}");
        }
    }
}
