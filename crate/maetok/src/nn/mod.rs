//! Building blocks shared by the tokenizer and the generator: attention, MLP, norms, patches, positions.
//!
//! Shapes use the crate's alphabet (see [`crate`]). Nothing here knows what it is used for.

pub mod attention;
pub mod drop_path;
pub mod layer_scale;
pub mod mlp;
pub mod norm;
pub mod patch_embed;
pub mod pos_embed;
pub mod precision;
pub mod probe;
pub mod rms_norm;
pub mod rope;
pub mod rope_1d;
pub mod swiglu;

pub use attention::{Attention, AttentionConfig};
pub use drop_path::DropPath;
pub use layer_scale::LayerScale;
pub use mlp::{Gelu, Mlp, MlpConfig};
pub use norm::{LayerNorm, normalize};
pub use patch_embed::{PatchEmbed, patchify, unpatchify};
pub use precision::Precision;
pub use probe::Probe;
pub use rms_norm::RmsNorm;
pub use rope::{RopeTable, mixed_frequencies};
pub use swiglu::SwiGlu;

use burn::module::Initializer;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// A `Linear` as the official ViT code starts it: weights normal with `std`, bias zero.
pub(crate) fn linear_normal(input: usize, output: usize, std: f64, device: &Device) -> Linear {
    let mut linear =
        LinearConfig::new(input, output).with_initializer(Initializer::Normal { mean: 0.0, std }).init(device);
    linear.bias = Some(Initializer::Zeros.init([output], device));
    linear
}

/// A `Linear` as the official SiT code starts it: weights Xavier-uniform, bias zero.
pub(crate) fn linear_xavier(input: usize, output: usize, device: &Device) -> Linear {
    let mut linear =
        LinearConfig::new(input, output).with_initializer(Initializer::XavierUniform { gain: 1.0 }).init(device);
    linear.bias = Some(Initializer::Zeros.init([output], device));
    linear
}

/// A `Linear` of zeros: adaLN and MoVQ modulations start this way, so that a block starts as the identity.
pub(crate) fn linear_zero(input: usize, output: usize, device: &Device) -> Linear {
    LinearConfig::new(input, output).with_initializer(Initializer::Zeros).init(device)
}

/// Applies `linear` to rows `[B, D]`, never as a vector–matrix product.
///
/// Burn 0.22.1 multiplies a single row by a kernel that uses subgroup shuffles without asking whether the
/// adapter has subgroups, and browsers do not enable them. A second copy of the row takes the ordinary kernel.
pub(crate) fn linear_rows(linear: &Linear, x: Tensor<2>) -> Tensor<2> {
    if x.dims()[0] > 1 {
        return linear.forward(x);
    }
    linear.forward(x.repeat_dim(0, 2)).slice(burn::tensor::s![0..1, ..])
}
