//! Building blocks shared by the tokenizer and the generator: attention, MLP, norms, patches, positions.
//!
//! Shapes use the crate's alphabet (see [`crate`]). Nothing here knows what it is used for.

pub mod attention;
pub mod drop_path;
pub mod layer_scale;
pub(crate) mod linear;
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
pub(crate) use linear::{exact, linear, linear_rows};
pub use mlp::{Gelu, Mlp, MlpConfig};
pub use norm::{LayerNorm, normalize};
pub(crate) use norm::{modulate, normalize_modulated};
pub use patch_embed::{PatchEmbed, patchify, unpatchify};
pub use precision::Precision;
pub use probe::Probe;
pub use rms_norm::RmsNorm;
pub use rope::{RopeTable, mixed_frequencies};
pub use swiglu::SwiGlu;

use burn::module::Initializer;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

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
