//! What the nearest training pictures say: which class a picture shows, and whether it is a copy.
//!
//! Works on feature vectors; distances are Euclidean.

use burn::tensor::Device;

pub use super::distance::Neighbour;
use super::distance::Rows;

/// The `k` nearest rows of `set` `[m, width]` for each of `queries` `[n, width]`, nearest first.
///
/// # Panics
/// If the numbers are not whole rows, or `set` has fewer than `k` rows.
pub fn nearest(queries: &[f32], set: &[f32], width: usize, k: usize, device: &Device) -> Vec<Vec<Neighbour>> {
    Rows::new(set, width, device).nearest(queries, k, false)
}

/// Feature vectors with the class of each.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// `[n, width]`, row-major.
    pub rows: &'a [f32],
    /// One a row.
    pub labels: &'a [usize],
}

/// Share of `queries` whose class is that of the majority of their `k` nearest rows in `set`; see [`vote`].
///
/// # Panics
/// If the numbers are not whole rows with a label each, there is no query, or `set` has fewer than `k` rows.
pub fn class_accuracy(queries: Labelled<'_>, set: Labelled<'_>, width: usize, k: usize, device: &Device) -> f64 {
    for Labelled { rows, labels } in [queries, set] {
        assert_eq!(rows.len(), labels.len() * width, "rows of {width} numbers with a label each");
    }
    assert!(!queries.labels.is_empty(), "an accuracy over no rows");
    let found = nearest(queries.rows, set.rows, width, k, device);
    let right = found.iter().zip(queries.labels).filter(|(near, label)| vote(near, set.labels) == **label).count();
    right as f64 / queries.labels.len() as f64
}

/// The class that most of `near` (nearest first) have; of several with as many, the one whose nearest row is nearest.
///
/// # Panics
/// If `near` is empty or a label is missing.
pub fn vote(near: &[Neighbour], labels: &[usize]) -> usize {
    let votes = |class: usize| near.iter().filter(|n| labels[n.index] == class).count();
    let most = near.iter().map(|n| votes(labels[n.index])).max().expect("at least one neighbour votes");
    near.iter().map(|n| labels[n.index]).find(|class| votes(*class) == most).expect("the maximum is one of them")
}

/// How near samples come to the training pictures, beside pictures that training never saw.
///
/// A model that repeats its training pictures comes nearer to them than new pictures of the same kind do.
#[derive(Clone, Debug, PartialEq)]
pub struct Novelty {
    /// Nearest training row of every sample.
    pub samples: Vec<Neighbour>,
    /// Distance of every held-out row to its nearest training row.
    pub held_out: Vec<f64>,
}

impl Novelty {
    /// Measures features `[_, width]` of samples, held-out and training pictures.
    ///
    /// # Panics
    /// If the numbers are not whole rows, or there are no training or held-out rows.
    pub fn measure(samples: &[f32], held_out: &[f32], training: &[f32], width: usize, device: &Device) -> Self {
        assert!(!held_out.is_empty(), "held-out rows to compare with");
        let training = Rows::new(training, width, device);
        let of = |rows: &[f32]| training.nearest(rows, 1, false).into_iter().map(|near| near[0]).collect::<Vec<_>>();
        Self { samples: of(samples), held_out: of(held_out).iter().map(|near| near.distance).collect() }
    }

    /// Share of the samples that are nearer to a training row than the `q`-quantile of the held-out distances: about
    /// `q` for samples as new as held-out pictures, towards 1 for copies.
    ///
    /// # Panics
    /// If there are no samples, or `q` is not from 0 to 1.
    pub fn share_nearer(&self, q: f64) -> f64 {
        assert!(!self.samples.is_empty(), "a share of no samples");
        let limit = quantile(&self.held_out, q);
        let nearer = self.samples.iter().filter(|near| near.distance < limit).count();
        nearer as f64 / self.samples.len() as f64
    }
}

/// The `q`-quantile of `values`, between neighbours in proportion, as NumPy's default.
///
/// # Panics
/// If there are no values, or `q` is not from 0 to 1.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    assert!(!values.is_empty() && (0.0..=1.0).contains(&q), "the {q}-quantile of {} values", values.len());
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use maetok_tests::{Fixture, Tolerance, devices};

    fn labels(fixture: &Fixture, name: &str) -> Vec<usize> {
        fixture.i64(name).1.into_iter().map(|label| label as usize).collect()
    }

    #[test]
    fn accuracy_distances_and_novelty_are_those_of_numpy() {
        let fixture = Fixture::own("eval/eval.safetensors");
        let [(shape, set), (_, queries)] = ["many.a", "many.b"].map(|name| fixture.f32(name));
        let [set_labels, query_labels] = ["many.a.labels", "many.b.labels"].map(|name| labels(&fixture, name));
        for on in devices() {
            let found = nearest(&queries, &set, shape[1], 5, &on.device);
            let indices: Vec<i64> = found.iter().flatten().map(|n| n.index as i64).collect();
            assert_eq!(indices, fixture.i64("many.neighbours").1, "on {}", on.label);
            let distances: Vec<f32> = found.iter().flatten().map(|n| n.distance as f32).collect();
            fixture.assert_close("many.distances", &on, &distances, Tolerance { abs: 0.0, rel: 1e-6, of_max: 0.0 });

            let accuracy = class_accuracy(
                Labelled { rows: &queries, labels: &query_labels },
                Labelled { rows: &set, labels: &set_labels },
                shape[1],
                5,
                &on.device,
            );
            assert_eq!(accuracy as f32, fixture.scalar("many.knn_accuracy"), "on {}", on.label);

            let (held_out, samples) = queries.split_at(queries.len() / 2);
            let novelty = Novelty::measure(samples, held_out, &set, shape[1], &on.device);
            let want = fixture.f32("many.novelty").1;
            let got: Vec<f32> = [0.05, 0.5].map(|q| novelty.share_nearer(q) as f32).into();
            assert_eq!(got, want, "on {}", on.label);
        }
    }

    #[test]
    fn the_majority_wins_and_distance_breaks_ties() {
        let near: Vec<Neighbour> = (0..5).map(|i| Neighbour { index: i, distance: i as f64 }).collect();
        assert_eq!(vote(&near, &[7, 2, 2, 7, 2]), 2, "the majority, though 7 is nearest");
        assert_eq!(vote(&near, &[9, 2, 4, 4, 2]), 2, "two each: the one met first");
    }

    #[test]
    fn copies_of_the_training_pictures_are_found_out() {
        let mut rng = Rng::new(11, 0);
        let mut draw = |n: usize| rng.normals(n * 6).iter().map(|v| *v as f32).collect::<Vec<f32>>();
        let (training, held_out, fresh) = (draw(400), draw(300), draw(300));
        let device = Device::flex();
        let copies: Vec<f32> = training[..300 * 6].iter().map(|v| v + 1e-3).collect();
        let share = |samples: &[f32]| Novelty::measure(samples, &held_out, &training, 6, &device).share_nearer(0.05);
        assert_eq!(share(&copies), 1.0);
        let fresh = share(&fresh);
        assert!(fresh < 0.12, "new rows are as far away as held-out ones: {fresh}");
    }

    #[test]
    fn quantiles_lie_between_neighbouring_values() {
        let values = [4.0, 1.0, 2.0, 3.0];
        let of = |q| quantile(&values, q);
        assert_eq!([of(0.0), of(0.5), of(1.0), of(0.1)], [1.0, 2.5, 4.0, 1.3]);
    }
}
