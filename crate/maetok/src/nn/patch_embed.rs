//! Pixels to patch tokens and back.

use std::sync::Arc;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::kernels::{self, Activation, Matrix, Packed, Residual};

/// The official patch embedding, a convolution whose stride is its kernel, computed as one matrix product.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// Weights under the checkpoint's name.
    pub proj: PatchProjection,
    /// Those weights as a matrix, `[3*p*p, D]`, on the CPU in panels too; see [`settle`](Self::settle).
    #[module(skip)]
    settled: Option<(Tensor<2>, Option<Arc<Packed>>)>,
}

/// Weights of a [`PatchEmbed`].
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[D, 3, p, p]`
    pub weight: Param<Tensor<4>>,
    /// `[D]`
    pub bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// Fresh weights, uniform within ±1/sqrt(fan in), for patches of `patch` pixels.
    pub fn new(width: usize, patch: usize, device: &Device) -> Self {
        let bound = 1.0 / ((3 * patch * patch) as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Self {
            proj: PatchProjection {
                weight: uniform.init([width, 3, patch, patch], device),
                bias: uniform.init([width], device),
            },
            settled: None,
        }
    }

    /// Keeps the weights as the matrix they are multiplied as. They must not change from now on.
    pub fn settle(&mut self) {
        // A sum of its own: a mere view would be copied in every pass.
        let matrix = self.matrix() + 0.0;
        let [_, width] = matrix.dims();
        let in_panels = kernels::reads_panels(&matrix.device());
        let numbers = in_panels.then(|| matrix.to_data().try_to_vec::<f32>().expect("weights are f32"));
        self.settled = Some((matrix, numbers.map(|numbers| Packed::panels(&numbers, width).into())));
    }

    /// `[3*p*p, D]`
    fn matrix(&self) -> Tensor<2> {
        let weight = self.proj.weight.val();
        let [width, channels, patch, _] = weight.dims();
        weight.reshape([width, channels * patch * patch]).transpose()
    }

    /// `[B, 3, H, W] -> [B, N, D]`, patches row-major.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<3> {
        let [width, _, patch, _] = self.proj.weight.dims();
        let [batch, ..] = image.dims();
        let patches = kernels::patch_rows(&image, patch).unwrap_or_else(|| self.patches(image));
        let (weight, panels) = self.settled.clone().unwrap_or_else(|| (self.matrix(), None));
        let matrix = panels.as_deref().map_or(Matrix::Plain(&weight), Matrix::Packed);
        let bias = self.proj.bias.val();
        let tokens = kernels::linear(&patches, matrix, Some(&bias), Activation::Identity, Residual::None)
            .unwrap_or_else(|| patches.matmul(weight) + bias.unsqueeze()); // [B*N, D]
        let [rows, _] = tokens.dims();
        tokens.reshape([batch, rows / batch, width])
    }

    /// What is projected: `[B, 3, H, W] -> [B*N, 3*p*p]`; inside a patch the order is that of the weight, channel,
    /// row, column.
    pub fn patches(&self, image: Tensor<4>) -> Tensor<2> {
        let [_, channels, patch, _] = self.proj.weight.dims();
        let [batch, _, height, side] = image.dims();
        assert_shape!(image, [batch, channels, height, side]);
        let (rows, columns) = (height / patch, side / patch);
        image
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch * rows * columns, channels * patch * patch])
    }
}

/// `[B, 3, H, W] -> [B, N, p*p*3]`; the inverse of [`unpatchify`].
pub fn patchify(image: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, height, side] = image.dims();
    let (rows, columns) = (height / patch, side / patch);
    image.reshape([batch, channels, rows, patch, columns, patch]).permute([0, 2, 4, 3, 5, 1]).reshape([
        batch,
        rows * columns,
        patch * patch * channels,
    ])
}

/// `[B, N, p*p*3] -> [B, 3, H, W]` for a square picture; inside a patch the index is `(row * p + column) * 3 + channel`.
pub fn unpatchify(tokens: Tensor<3>, patch: usize) -> Tensor<4> {
    let [batch, patches, _] = tokens.dims();
    let side = patches.isqrt();
    assert_shape!(tokens, [batch, side * side, patch * patch * 3]);
    tokens.reshape([batch, side, side, patch, patch, 3]).permute([0, 5, 1, 3, 2, 4]).reshape([
        batch,
        3,
        side * patch,
        side * patch,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn patches_put_together_again_are_the_picture() {
        let picture = Tensor::<4>::random([2, 3, 12, 12], Distribution::Default, &Device::flex());
        assert_eq!(unpatchify(patchify(picture.clone(), 4), 4).into_data(), picture.into_data());
    }
}
