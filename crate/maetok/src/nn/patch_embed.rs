//! Pixels to patch tokens and back.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};

/// The official patch embedding, a convolution whose stride is its kernel, computed as one matrix product.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// Weights under the checkpoint's name.
    pub proj: PatchProjection,
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
        }
    }

    /// `[B, 3, H, W] -> [B, N, D]`, patches row-major.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [width, channels, patch, _] = weight.dims();
        let [batch, _, height, side] = image.dims();
        assert_shape!(image, [batch, channels, height, side]);
        let (rows, columns) = (height / patch, side / patch);
        let values = channels * patch * patch;

        let patches = image
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch * rows * columns, values]); // [B*N, 3*p*p]
        let weight = weight.reshape([width, values]).transpose(); // [3*p*p, D]
        let tokens = patches.matmul(weight) + self.proj.bias.val().unsqueeze(); // [B*N, D]
        tokens.reshape([batch, rows * columns, width])
    }
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

/// `[B, 3, H, W] -> [B, N, p*p*3]`, the inverse of [`unpatchify`].
pub fn patchify(picture: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, _, height, width] = picture.dims();
    let (rows, columns) = (height / patch, width / patch);
    assert_shape!(picture, [batch, 3, rows * patch, columns * patch]);
    picture.reshape([batch, 3, rows, patch, columns, patch]).permute([0, 2, 4, 3, 5, 1]).reshape([
        batch,
        rows * columns,
        patch * patch * 3,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patchify_undoes_unpatchify() {
        let device = Device::flex();
        let values: Vec<f32> = (0..2 * 9 * 12).map(|i| i as f32).collect();
        let tokens = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([2, 9, 12]);
        let picture = unpatchify(tokens, 2);
        assert_eq!(picture.dims(), [2, 3, 6, 6]);
        let back: Vec<f32> = patchify(picture, 2).into_data().try_to_vec().unwrap();
        assert_eq!(back, values);
    }
}
