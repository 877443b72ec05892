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
//! [`choice`] says which kernel of a family: by a table, and by what [`self_test`] and [`contest`] found out about the
//! adapter at hand, which a [`Verdict`] carries to the next start. [`launch`] is the only place that speaks to Burn's
//! internal side.

pub mod attention;
mod choice;
mod contest;
mod launch;
pub mod linear;
pub mod norm;
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
pub use patches::patch_rows;
pub use self_test::{Check, examine, self_test};
pub use verdict::Verdict;
