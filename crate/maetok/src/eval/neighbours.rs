//! The nearest training pictures, and what they say: which class a picture shows, and how near is unusually near.
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

/// The class that most of `near` (nearest first) have; of several with as many, the one whose nearest row is nearest.
///
/// # Panics
/// If `near` is empty or a label is missing.
pub fn vote(near: &[Neighbour], labels: &[usize]) -> usize {
    let votes = |class: usize| near.iter().filter(|n| labels[n.index] == class).count();
    let most = near.iter().map(|n| votes(labels[n.index])).max().expect("at least one neighbour votes");
    near.iter().map(|n| labels[n.index]).find(|class| votes(*class) == most).expect("the maximum is one of them")
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

            let right = found.iter().zip(&query_labels).filter(|(near, label)| vote(near, &set_labels) == **label);
            let accuracy = right.count() as f64 / query_labels.len() as f64;
            assert_eq!(accuracy as f32, fixture.scalar("many.knn_accuracy"), "on {}", on.label);

            let first: Vec<f64> = found.iter().map(|near| near[0].distance).collect();
            let (held_out, samples) = first.split_at(first.len() / 2);
            let want = fixture.f32("many.novelty").1;
            let got: Vec<f32> = [0.05, 0.5]
                .map(|q| quantile(held_out, q))
                .map(|limit| samples.iter().filter(|near| **near < limit).count() as f32 / samples.len() as f32)
                .into();
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
    fn quantiles_lie_between_neighbouring_values() {
        let values = [4.0, 1.0, 2.0, 3.0];
        let of = |q| quantile(&values, q);
        assert_eq!([of(0.0), of(0.5), of(1.0), of(0.1)], [1.0, 2.5, 4.0, 1.3]);
    }
}
