//! Linear layers and what follows them: an activation, a gate, a residual.
//!
//! On a wgpu device a kernel does all of it at once, from weights that may be packed ([`crate::kernels::packed`]); the
//! plain ops below are its definition.

use burn::nn::Linear;
use burn::tensor::activation::{gelu, silu};
use burn::tensor::{Tensor, s};

use super::precision::product;
use crate::kernels::{self, Activation, Gate, Matrix, Packing, Residual};

/// `layer` applied to `[.., D]`.
pub(crate) fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    activated(layer, x, Activation::Identity)
}

/// `activation(layer(x))`, `[.., D] -> [.., N]`.
pub(crate) fn activated<const D: usize>(layer: &Linear, x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match by_kernel(layer, &x, activation, Residual::None) {
        Some(y) => y,
        None => activate(activation, product(layer, x)),
    }
}

/// `residual + gate * layer(x)`, `[B, T, D] -> [B, T, N]`: the end of a branch.
pub(crate) fn added(layer: &Linear, x: Tensor<3>, residual: Residual<'_>) -> Tensor<3> {
    if let Some(y) = by_kernel(layer, &x, Activation::Identity, residual) {
        return y;
    }
    let y = product(layer, x);
    match residual {
        Residual::None => y,
        Residual::Added(old) => old.clone() + y,
        Residual::Gated(old, gate) => {
            let gates = gates(&gate, &y);
            old.clone() + gates * y
        }
    }
}

/// The factors of `gate` for a branch `[B, T, N]`: `[1 or B, 1, N]`.
fn gates(gate: &Gate<'_>, branch: &Tensor<3>) -> Tensor<3> {
    let [batch, _, width] = branch.dims();
    match *gate {
        Gate::Channels(gamma) => gamma.clone().unsqueeze(),
        Gate::Samples { table, row, at } => table.clone().slice(s![row..row + batch, at..at + width]).unsqueeze_dim(1),
    }
}

/// By a kernel, where one can; in training, the only place where products are rounded, none can.
fn by_kernel<const D: usize>(
    layer: &Linear,
    x: &Tensor<D>,
    activation: Activation,
    residual: Residual<'_>,
) -> Option<Tensor<D>> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let times = |matrix: Matrix<'_>| kernels::linear(x, matrix, bias.as_ref(), activation, residual);
    match layer.weight.reparameterization().and_then(Packing::get) {
        Some(packed) => times(Matrix::Packed(packed)),
        None => times(Matrix::Plain(&layer.weight.val())),
    }
}

/// `activation(x)`, number by number.
pub(crate) fn activate<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    match activation {
        Activation::Identity => x,
        Activation::GeluExact => gelu(x),
        // Burn's own tanh form takes a power of a negative base, slow on the CPU and undefined in WGSL.
        Activation::GeluTanh => {
            let inner = (x.clone().square() * 0.044715 + 1.0) * x.clone() * SQRT_2_OVER_PI;
            x * (inner.tanh() + 1.0) * 0.5
        }
        Activation::Silu => silu(x),
    }
}

/// `layer` applied to `[.., D]` in f32, whatever the precision of the work around it: for layers that are small, or
/// whose digits matter.
pub(crate) fn exact<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    match by_kernel(layer, &x, Activation::Identity, Residual::None) {
        Some(y) => y,
        None => layer.forward(x),
    }
}

/// `residual + layer(x)` in f32: `[B, T, D] -> [B, T, N]`, with a residual of `[1 or B, T, N]`.
pub(crate) fn exact_added(layer: &Linear, x: Tensor<3>, residual: &Tensor<3>) -> Tensor<3> {
    match by_kernel(layer, &x, Activation::Identity, Residual::Added(residual)) {
        Some(y) => y,
        None => layer.forward(x) + residual.clone(),
    }
}

/// `activation(layer(x))` in f32, for rows `[B, D]`, never as Burn's vector–matrix product.
///
/// Burn 0.22.1 multiplies a single row by a kernel that uses subgroup shuffles without asking whether the
/// adapter has subgroups, and browsers do not enable them. Where no kernel of ours can, a second copy of the row takes
/// the ordinary kernel.
pub(crate) fn linear_rows(layer: &Linear, x: Tensor<2>, activation: Activation) -> Tensor<2> {
    if let Some(y) = by_kernel(layer, &x, activation, Residual::None) {
        return y;
    }
    activate(
        activation,
        match x.dims() {
            [1, _] => layer.forward(x.repeat_dim(0, 2)).slice(s![0..1, ..]),
            _ => layer.forward(x),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn both_gelus_give_their_textbook_values_at_plus_and_minus_one() {
        let x = Tensor::<3>::from_floats([[[1.0, -1.0]]], &Device::flex());
        for (kind, plus) in [(Activation::GeluExact, 0.841_344_7_f32), (Activation::GeluTanh, 0.841_192_f32)] {
            let y: Vec<f32> = activate(kind, x.clone()).into_data().try_to_vec().unwrap();
            assert!((y[0] - plus).abs() < 1e-6, "{kind:?}(1) = {}", y[0]);
            assert!((y[1] - (plus - 1.0)).abs() < 1e-6, "{kind:?}(-1) = {}", y[1]);
        }
    }
}
