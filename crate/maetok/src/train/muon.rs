//! Muon: updates of a matrix along its momentum with all singular values brought to about one.
//!
//! Adam steps every weight alone; a matrix's update is then ruled by a few strong directions and the rare ones learn
//! late. Muon gives every direction of the matrix the same step. It is for the matrices inside the blocks; embeddings,
//! heads, biases and norms stay with AdamW.
//!
//! Source: Jordan et al. 2024, *Muon: an optimizer for hidden layers in neural networks*; the factor that lets it share
//! AdamW's learning rate from Liu et al. 2025, *Muon is scalable for LLM training*, arXiv 2502.16982.
//!
//! Differs from Burn's `Muon` (0.22.1): that one takes whole modules, keeps its state on the process's default device
//! (see [`Optimiser`](super::optimiser::Optimiser)), and takes the matrices of a fused layer for one.

use burn::tensor::{Shape, Tensor};

use crate::nn::precision::matmul;

/// Coefficients of the quintic iteration: singular values in (0, 1] go to about 0.7 to 1.2 in five rounds.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// Rounds of the iteration.
const ROUNDS: usize = 5;
/// Root mean square of AdamW's updates, which the update's is brought to.
const ADAMW_SIZE: f64 = 0.2;

/// How many matrices stand side by side in the parameter at `path` (names from the outermost module inwards), if Muon is
/// for it: the linear layers of attention and MLP in a stack of blocks, of which some are several in one.
pub fn matrices(path: &[String]) -> Option<usize> {
    let [.., layer, name] = path else { return None };
    let inside = path.iter().any(|part| part == "blocks") && name == "weight";
    match layer.as_str() {
        "qkv" if inside => Some(3),
        "w12" if inside => Some(2),
        "proj" | "fc1" | "fc2" | "w3" if inside => Some(1),
        _ => None,
    }
}

/// Change for the `momentum` of a parameter that holds `count` matrices side by side, in units of AdamW's learning rate.
///
/// # Shapes
/// `momentum` the values of `[I, O]` in a row, and `shape` that; result as `momentum`
///
/// # Panics
/// If `shape` is not that of a matrix, or its columns are no multiple of `count`.
pub fn update(momentum: Tensor<1>, shape: &Shape, count: usize) -> Tensor<1> {
    let &[input, output] = shape.as_slice() else { panic!("Muon is for matrices, not for {shape:?}") };
    assert!(output.is_multiple_of(count), "{count} matrices in {output} columns");
    let each = output / count;
    let parts = momentum.reshape([input, count, each]).swap_dims(0, 1); // [count, I, O / count]
    (orthogonal(parts) * scale(input, each)).swap_dims(0, 1).reshape([input * output])
}

/// Brings the update's root mean square to [`ADAMW_SIZE`]: an orthogonal matrix has one of `1 / sqrt(longer side)`.
fn scale(input: usize, output: usize) -> f64 {
    ADAMW_SIZE * (input.max(output) as f64).sqrt()
}

/// Every matrix of `[M, I, O]` with its singular values brought near one, its singular vectors kept. The iteration
/// mends its own rounding, so its products may be in bfloat16.
fn orthogonal(matrices: Tensor<3>) -> Tensor<3> {
    let [_, input, output] = matrices.dims();
    // Products of the shorter side with itself are the cheaper ones.
    let wide = if input > output { matrices.swap_dims(1, 2) } else { matrices };
    let length = wide.clone().square().sum_dim(2).sum_dim(1).sqrt(); // [M, 1, 1]
    let mut x = wide / (length + 1e-7);
    let [a, b, c] = QUINTIC;
    for _ in 0..ROUNDS {
        let gram = matmul(x.clone(), x.clone().swap_dims(1, 2));
        let correction = gram.clone() * b + matmul(gram.clone(), gram) * c;
        x = x.clone() * a + matmul(correction, x);
    }
    if input > output { x.swap_dims(1, 2) } else { x }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};
    use nalgebra::DMatrix;

    use super::*;
    use crate::nn::precision::{Precision, within};

    fn singular_values(values: &Tensor<1>, rows: usize, columns: usize) -> Vec<f64> {
        let values: Vec<f64> = values.clone().into_data().iter::<f32>().map(f64::from).collect();
        DMatrix::from_row_slice(rows, columns, &values).singular_values().iter().copied().collect()
    }

    #[test]
    fn all_directions_of_a_matrix_get_about_the_same_step() {
        let device = Device::flex();
        for (rows, columns) in [(24, 56), (56, 24)] {
            // Singular values from 1 down to about 1 / 300.
            let left = Tensor::<2>::random([rows, 8], Distribution::Default, &device);
            let right = Tensor::<2>::random([8, columns], Distribution::Default, &device);
            let noise = Tensor::<2>::random([rows, columns], Distribution::Normal(0.0, 0.1), &device);
            let momentum: Tensor<1> = (left.matmul(right) + noise).flatten(0, 1);
            let before = singular_values(&momentum, rows, columns);
            assert!(before[0] / before[23] > 100.0, "{before:?}");
            let unit = scale(rows, columns);
            let steps = [Precision::F32, Precision::Bf16]
                .map(|precision| within(precision, || update(momentum.clone(), &Shape::new([rows, columns]), 1)));
            for step in &steps {
                let after = singular_values(step, rows, columns);
                assert!(after.iter().all(|value| (0.3..1.3).contains(&(value / unit))), "{after:?} over {unit}");
            }
            let [exact, rounded] = steps;
            let apart = (exact - rounded).abs().max().into_scalar::<f32>();
            assert!(apart > 0.0, "nothing was rounded");
        }
    }

    #[test]
    fn query_key_and_value_are_matrices_of_their_own() {
        let device = Device::flex();
        let parts =
            [1.0, 30.0, 0.01].map(|size| Tensor::<2>::random([16, 16], Distribution::Normal(0.0, size), &device));
        let joined: Tensor<1> = Tensor::cat(parts.to_vec(), 1).flatten(0, 1);
        let got = update(joined, &Shape::new([16, 48]), 3).reshape([16, 48]);
        for (at, part) in parts.into_iter().enumerate() {
            let alone = update(part.flatten(0, 1), &Shape::new([16, 16]), 1).reshape([16, 16]);
            let within = got.clone().narrow(1, 16 * at, 16);
            let difference = (within - alone).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-4, "part {at}: {difference}");
        }
    }
}
