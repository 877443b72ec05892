//! The adversarial part of the tokenizer's recipe: a discriminator that learns to tell reconstructions from pictures,
//! and what the tokenizer learns from it.
//!
//! [`Adversary`] is what a trainer needs: it owns a [`Discriminator`] (the published one on a frozen DINO trunk, or a
//! small one from scratch), its optimiser and its running means, and gives the generator's loss. All that is random is
//! drawn beforehand from an [`Rng`](crate::rng::Rng) and passed in.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3 and the authors' training configuration.

pub mod adversary;
pub mod augment;
pub mod batch_norm;
pub mod discriminator;
pub mod heads;
pub mod lecam;
pub mod losses;
pub mod patch;
mod resize;
pub mod spectral;
pub mod trunk;

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;

pub use adversary::{AdversarialDraws, AdversarialSettings, Adversary, DiscriminatorDraws};
pub use augment::{AugmentDraws, AugmentPolicy};
pub use discriminator::{DinoDiscriminator, Discriminator, Mode, PassDraws};
pub use lecam::LeCam;
pub use losses::{GanLoss, adaptive_weight};
pub use patch::{PatchConfig, PatchDiscriminator};
pub use trunk::{DinoConfig, DinoTrunk};

use burn::tensor::Tensor;

/// The values of a tensor without its past and without a wish for a gradient. `detach` alone keeps that wish where the
/// tensor is a parameter, and so ties whatever is computed from it to the parameter's next backward pass.
///
/// Whatever one update hands to the next must pass here, even if nothing of it is differentiated: Burn counts how many
/// operations lie behind a value, and a backward pass sets up a place for each.
fn untracked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.set_require_grad(false)
}
