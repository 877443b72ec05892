//! One-dimensional rotary positions: the angle of pair `j` at token `n` is `n * theta^(-2j/d)`.
//!
//! Adjacent pairs rotate, as in [`rope`](super::rope), which does the turning; nothing is learnt and all heads turn
//! alike.
//!
//! Source: Su et al. 2021, arXiv 2104.09864.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines for `tokens` tokens in heads of `dim` values, each `[1, T, d/2]`; angles are computed in f64.
///
/// # Panics
/// If `dim` is odd.
pub fn table(tokens: usize, dim: usize, theta: f64, device: &Device) -> (Tensor<3>, Tensor<3>) {
    assert!(dim.is_multiple_of(2), "rotary positions turn pairs, and {dim} is odd");
    let pairs = dim / 2;
    let angle = |n: usize, j: usize| n as f64 * theta.powf(-2.0 * j as f64 / dim as f64);
    let of = |f: fn(f64) -> f64| {
        let values: Vec<f32> = (0..tokens).flat_map(|n| (0..pairs).map(move |j| f(angle(n, j)) as f32)).collect();
        Tensor::from_data(TensorData::new(values, [1, tokens, pairs]), device)
    };
    (of(f64::cos), of(f64::sin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::rope::rotate;
    use maetok_tests::devices;

    #[test]
    fn scores_depend_on_the_offset_of_two_tokens_only() {
        let (tokens, dim) = (24, 12);
        for on in devices() {
            // The same query and the same key at every place.
            let one = |seed: f32| {
                let row: Vec<f32> = (0..dim).map(|i| (seed + i as f32).sin()).collect();
                let row = Tensor::<1>::from_floats(row.as_slice(), &on.device).reshape([1, 1, 1, dim]);
                rotate(row.repeat_dim(2, tokens).repeat_dim(1, 2), &table(tokens, dim, 10_000.0, &on.device), 0)
            };
            let scores = one(0.3).matmul(one(1.7).swap_dims(2, 3)); // [1, 2, T, T]
            let scores: Vec<f32> = scores.into_data().try_to_vec().unwrap();
            let score = |head: usize, a: usize, b: usize| scores[(head * tokens + a) * tokens + b];
            for a in 0..tokens {
                for b in 0..tokens {
                    let moved = score(0, a.saturating_sub(b), b.saturating_sub(a));
                    assert!((score(0, a, b) - moved).abs() < 1e-4, "{a} to {b} on {}", on.label);
                    assert_eq!(score(0, a, b), score(1, a, b), "both heads turn alike");
                }
            }
            let spread = (1..tokens).map(|b| (score(0, 0, b) - score(0, 0, 0)).abs()).fold(0.0, f32::max);
            assert!(spread > 0.5, "and they do depend on it: {spread}");
        }
    }

    #[test]
    fn the_first_token_does_not_turn_and_the_first_pair_turns_by_one_radian_a_token() {
        let (cos, sin) = table(3, 4, 100.0, &Device::flex());
        let values = |t: Tensor<3>| t.into_data().try_to_vec::<f32>().unwrap();
        let want: Vec<f64> = [0.0, 0.0, 1.0, 0.1, 2.0, 0.2].into();
        assert_eq!(values(cos), want.iter().map(|a| a.cos() as f32).collect::<Vec<_>>());
        assert_eq!(values(sin), want.iter().map(|a| a.sin() as f32).collect::<Vec<_>>());
    }
}
