//! The steps of a forward pass that we compute ourselves: on a wgpu device by the WGSL kernels of `shaders/`, on the CPU by
//! the loops of `crate/loops`.
//!
//! Each function takes tensors and does its step where it can: in f32, outside training, while nobody switched it off, and
//! on a wgpu device where rows are multiples of four numbers. Otherwise it says so, and the plain tensor ops at its call
//! do the same; they are what it is defined by, and what runs in training.
//!
//! | step | called by | kernels |
//! | --- | --- | --- |
//! | [`linear`] | `nn/linear.rs` | `linear_registers`, `linear_tiles`, `vector_matrix` |
//! | [`norm`] | `nn/norm.rs`, `nn/rms_norm.rs` | `layer_norm`, `layer_norm_rows` |
//! | [`attention`] | `nn/attention.rs` | `attention` after `qk_prepare`, or `attention_tiled` |
//! | [`patch_rows`] | `nn/patch_embed.rs` | `patch_embed` |
//! | [`to_rgba8`] | `pipeline/codec.rs` | `to_rgba8` |
//!
//! Two kernels of `shaders/` are not launched. `guided_step`: the sampler keeps its state in f64 on the host, which has
//! to wait for every step anyway, and a step of some thousand numbers takes it microseconds. `psnr_ssim`: pictures are
//! compared once, and their bytes are on the host by then.
//!
//! Weights of linear layers may be kept as they are read: see [`packed`]. [`choice`] says which kernel of a family: by a
//! table, and by what [`self_test`] and [`contest`] found out about the adapter at hand, which a [`Verdict`] carries to the
//! next start. Two files speak to Burn's internal side, [`launch`] and [`cpu`].

pub mod attention;
mod choice;
mod contest;
mod cpu;
mod launch;
pub mod linear;
pub mod norm;
pub mod packed;
mod patches;
pub mod probe;
mod self_test;
#[cfg(test)]
mod tests;
mod verdict;

pub use attention::{HeadNorm, attention};
pub use choice::{Family, Preferred, Route, Tiles, launches, prefer, within};
pub use linear::{Activation, Gate, Residual, linear};
pub use norm::{Modulation, Norm, norm};
pub use packed::{Matrix, Packed, Packing, reads_packed, reads_panels};
pub use patches::{patch_rows, to_rgba8};
pub use self_test::{Check, examine, self_test};
pub use verdict::Verdict;
