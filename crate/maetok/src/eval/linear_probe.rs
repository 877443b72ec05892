//! Linear probing: how much of the class a linear classifier reads off the features.
//!
//! Multinomial logistic regression on standardised features, Adam, then top-1 accuracy. MAETok's authors report that a
//! higher accuracy on latents goes with a better generator (Chen et al. 2025, arXiv 2502.03444, section 3; no code
//! and no settings were published).

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::standardise::Standardiser;
use crate::rng::Rng;

/// Feature vectors with the class of each.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// `[n, width]`, row-major.
    pub rows: &'a [f32],
    /// One a row.
    pub labels: &'a [usize],
}

/// How a [`LinearProbe`] is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeTraining {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows of a step; all rows where there are fewer.
    pub batch: usize,
    /// Learning rate at the start; falls to zero as half a cosine.
    pub rate: f64,
    /// Weight of half the squared norm of the weights in the loss.
    pub decay: f64,
    /// Seed of the order of the rows.
    pub seed: u64,
}

impl Default for ProbeTraining {
    /// 50 passes with batches of 1024, which the tests and a few thousand rows a class are content with.
    fn default() -> Self {
        Self { epochs: 50, batch: 1024, rate: 0.01, decay: 1e-4, seed: 0 }
    }
}

#[derive(Module, Debug)]
struct Classifier {
    /// `[width, K]`
    weight: Param<Tensor<2>>,
    /// `[1, K]`
    bias: Param<Tensor<2>>,
}

impl Classifier {
    /// `[B, width] -> [B, K]`, logarithms of probabilities.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        log_softmax(x.matmul(self.weight.val()) + self.bias.val(), 1)
    }

    /// Mean cross-entropy with the penalty on the weights. `labels` `[B, 1]`; result `[1]`.
    fn loss(&self, x: Tensor<2>, labels: Tensor<2, Int>, decay: f64) -> Tensor<1> {
        self.forward(x).gather(1, labels).mean().neg() + self.weight.val().square().sum() * (decay / 2.0)
    }
}

/// A trained linear classifier with the standardisation that belongs to it.
#[derive(Debug)]
pub struct LinearProbe {
    standardiser: Standardiser,
    classifier: Classifier,
    width: usize,
    classes: usize,
    loss: f64,
}

impl LinearProbe {
    /// Trains on `set`, rows of `width` features with labels below `classes`. The rows are on the device as a whole.
    ///
    /// # Panics
    /// If `set` is empty, not whole rows with a label each, or a label is `classes` or more.
    pub fn fit(set: Labelled<'_>, width: usize, classes: usize, training: &ProbeTraining, device: &Device) -> Self {
        check(set, width, classes);
        let count = set.labels.len();
        let standardiser = Standardiser::fit(set.rows, width);
        let device = device.clone().autodiff();
        let x = TensorData::new(standardiser.apply(set.rows), [count, width]);
        let x = Tensor::<2>::from_data(x, &device);
        let y = TensorData::new(set.labels.iter().map(|label| *label as i64).collect::<Vec<_>>(), [count, 1]);
        let y = Tensor::<2, Int>::from_data(y, &device);

        // Zero is as good a start as any: the loss is convex.
        let zeros = |shape: [usize; 2]| Param::from_tensor(Tensor::<2>::zeros(shape, &device));
        let mut classifier = Classifier { weight: zeros([width, classes]), bias: zeros([1, classes]) };
        let mut optimiser = ModuleOptimizer::from(AdamConfig::new().with_epsilon(1e-8).build());
        let batch = training.batch.clamp(1, count);
        let steps = training.epochs * count.div_ceil(batch);
        let mut rng = Rng::new(training.seed, 0);
        let mut step = 0;
        for _ in 0..training.epochs {
            let order: Vec<i64> = rng.permutation(count).iter().map(|index| *index as i64).collect();
            for rows in order.chunks(batch) {
                let (x, y) = if batch == count {
                    (x.clone(), y.clone())
                } else {
                    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &device);
                    (x.clone().select(0, rows.clone()), y.clone().select(0, rows))
                };
                let loss = classifier.loss(x, y, training.decay);
                let grads = GradientsParams::from_grads(loss.backward(), &classifier);
                let fall = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
                classifier = optimiser.step(training.rate * fall, classifier, grads);
                step += 1;
            }
        }
        let classifier = classifier.valid();
        let loss = classifier.loss(x.inner(), y.inner(), training.decay);
        let loss = f64::from(loss.into_scalar::<f32>());
        Self { standardiser, classifier, width, classes, loss }
    }

    /// Mean cross-entropy of the training rows in nats, with the penalty.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The most probable class of each of `rows` `[n, width]`.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn classify(&self, rows: &[f32]) -> Vec<usize> {
        // In blocks: held-out rows can be as many as training rows.
        const BLOCK: usize = 4096;
        let device = self.classifier.weight.device();
        let block = |rows: &[f32]| -> Vec<usize> {
            let x = TensorData::new(self.standardiser.apply(rows), [rows.len() / self.width, self.width]);
            let logs = self.classifier.forward(Tensor::from_data(x, &device)).into_data();
            let logs: Vec<f32> = logs.try_to_vec().expect("f32");
            let best = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).expect("a class");
            logs.chunks_exact(self.classes).map(best).collect()
        };
        rows.chunks(BLOCK * self.width).flat_map(block).collect()
    }

    /// Share of `set` whose most probable class is theirs.
    ///
    /// # Panics
    /// If `set` is empty or not whole rows with a label each.
    pub fn accuracy(&self, set: Labelled<'_>) -> f64 {
        check(set, self.width, self.classes);
        let right = self.classify(set.rows).iter().zip(set.labels).filter(|(got, want)| got == want).count();
        right as f64 / set.labels.len() as f64
    }
}

fn check(set: Labelled<'_>, width: usize, classes: usize) {
    assert!(!set.labels.is_empty(), "a probe needs rows");
    assert_eq!(set.rows.len(), set.labels.len() * width, "rows of {width} numbers with a label each");
    assert!(set.labels.iter().all(|label| *label < classes), "labels below {classes}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use maetok_tests::{Fixture, Tolerance, devices};

    /// `count` rows of `width` features, three classes, whose means are `distance` deviations apart.
    fn blobs(count: usize, width: usize, distance: f64, seed: u64) -> (Vec<f32>, Vec<usize>) {
        let mut rng = Rng::new(seed, 0);
        let labels: Vec<usize> = (0..count).map(|i| i % 3).collect();
        let value = |rng: &mut Rng, label: usize, at: usize| rng.normal() + f64::from(u8::from(label == at)) * distance;
        let rows =
            labels.iter().flat_map(|label| (0..width).map(|at| value(&mut rng, *label, at) as f32).collect::<Vec<_>>());
        (rows.collect(), labels)
    }

    /// Adam comes to rest a little above the minimum.
    const MINIMUM: Tolerance = Tolerance { abs: 0.0, rel: 2e-4, of_max: 0.0 };

    #[test]
    fn the_loss_reaches_the_minimum_that_scipy_finds() {
        let fixture = Fixture::own("eval/eval.safetensors");
        let (shape, rows) = fixture.f32("many.a");
        let labels: Vec<usize> = fixture.i64("many.a.labels").1.into_iter().map(|label| label as usize).collect();
        let training = ProbeTraining { epochs: 300, rate: 0.1, decay: 0.01, ..ProbeTraining::default() };
        for on in devices() {
            let set = Labelled { rows: &rows, labels: &labels };
            let probe = LinearProbe::fit(set, shape[1], 3, &training, &on.device);
            fixture.assert_close("probe.loss", &on, &vec![probe.loss() as f32], MINIMUM);
            assert_eq!(probe.accuracy(set) as f32, fixture.scalar("probe.accuracy"), "on {}", on.label);
        }
    }

    #[test]
    fn well_separated_classes_are_told_apart_whatever_the_scale_of_the_features() {
        let (train, labels) = blobs(900, 8, 6.0, 1);
        let (test, test_labels) = blobs(300, 8, 6.0, 2);
        let scaled = |rows: &[f32]| -> Vec<f32> {
            rows.iter().enumerate().map(|(i, v)| v * 10f32.powi((i % 8) as i32 - 4) + 3.0).collect()
        };
        let device = Device::flex();
        let training = ProbeTraining { batch: 100, ..ProbeTraining::default() };
        let accuracy = |train: &[f32], test: &[f32]| {
            let probe = LinearProbe::fit(Labelled { rows: train, labels: &labels }, 8, 3, &training, &device);
            probe.accuracy(Labelled { rows: test, labels: &test_labels })
        };
        let (plain, other) = (accuracy(&train, &test), accuracy(&scaled(&train), &scaled(&test)));
        assert!(plain > 0.99 && other > 0.99, "{plain} and {other}");
    }

    #[test]
    fn features_without_a_class_give_chance() {
        let (train, labels) = blobs(900, 8, 0.0, 3);
        let (test, test_labels) = blobs(900, 8, 0.0, 4);
        let set = Labelled { rows: &train, labels: &labels };
        let probe = LinearProbe::fit(set, 8, 3, &ProbeTraining::default(), &Device::flex());
        let accuracy = probe.accuracy(Labelled { rows: &test, labels: &test_labels });
        assert!((accuracy - 1.0 / 3.0).abs() < 0.06, "{accuracy}");
    }
}
