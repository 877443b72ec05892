//! Host side of `shaders/`: the steps of a forward pass that have a WGSL kernel.
//!
//! Each function takes tensors and does its step by a kernel where one can: on a wgpu device, in f32, outside training,
//! where rows are multiples of four numbers and nobody switched the kernel off. Otherwise it says so, and the plain
//! tensor ops at its call do the same; they are what the kernel is defined by, and what runs on the CPU and in training.
//!
//! | step | called by | kernels |
//! | --- | --- | --- |
//! | [`linear`] | `nn/linear.rs` | `linear_registers`, `linear_tiles`, `vector_matrix` |
//! | [`norm`] | `nn/norm.rs`, `nn/rms_norm.rs` | `layer_norm`, `layer_norm_rows` |
//! | [`attention`] | `nn/attention.rs` | `attention` after `qk_prepare`, or `attention_tiled` |
//! | [`patch_rows`] | `nn/patch_embed.rs` | `patch_embed` |
//!
//! Weights of linear layers may stay [`packed`] there. [`choice`] says which kernel of a family, [`launch`] is the only place that speaks to Burn's internal side.

pub mod attention;
mod choice;
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

pub use attention::{HeadNorm, attention};
pub use choice::{Family, Preferred, Route, launches, prefer, within};
pub use linear::{Activation, Gate, Residual, linear};
pub use norm::{Modulation, Norm, norm};
pub use packed::{Matrix, Packed, Packing, reads_packed, reads_panels};
pub use patches::patch_rows;
pub use self_test::{Check, self_test};
