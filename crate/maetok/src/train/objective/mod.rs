//! The objective of the tokenizer's first stage: reconstruct everything, predict features where nothing was seen.
//!
//! `MSE(x, x') + sum over the auxiliary decoders of their loss on hidden patches`, and for the variational baseline the
//! divergence of its posterior. The perceptual and the adversarial term read only the reconstruction: the trainer adds
//! them with what it finds in [`Losses`], which holds what the [adaptive weight](super::losses::adaptive_weight) needs.
//!
//! Source: Chen et al. 2025, arXiv 2502.03444, section 3; official `MaskAEModel` and its loss, commit `f4d60a0`
//! (specification 3 and 5.1).
//!
//! Differs from the official code: masks, DropPath and posterior noise are passed in, not drawn inside. Where nothing is
//! hidden, losses of hidden patches are left out; the official code would divide by zero.

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use super::losses::{self, Distance, Hidden, over_patches};
use crate::nn::DropPath;
use crate::tokenizer::{AuxiliaryDecoders, TargetKind, Tokenizer};

/// How much of each term the total holds; the pixel term has weight 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Weight of the HOG term.
    pub hog: f64,
    /// Weight of the DINOv2 term.
    pub dino: f64,
    /// Weight of the SigLIP term.
    pub clip: f64,
    /// Weight of the EfficientNet-Lite0 term.
    pub efficientnet: f64,
    /// Weight of the divergence in the variational baseline.
    pub kl: f64,
    /// Auxiliary losses are of hidden patches alone (the official `aux_loss_mask`), not of all.
    pub hidden_only: bool,
}

impl Default for Objective {
    /// The official weights, and that of the official teachers for the one of our own.
    fn default() -> Self {
        Self { hog: 1.0, dino: 1.0, clip: 1.0, efficientnet: 1.0, kl: 1e-6, hidden_only: true }
    }
}

/// What a training forward reads.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[B, 3, H, W]` in [-1, 1].
    pub picture: Tensor<4>,
    /// Patches that the encoder does not see.
    pub hidden: Option<Hidden>,
    /// What the auxiliary decoders are to predict from the picture as it is, `[B, N, T]` each; constants.
    pub targets: Vec<(TargetKind, Tensor<3>)>,
    /// `[B, L, C]`, standard normal, for the posterior of the variational baseline.
    pub noise: Option<Tensor<3>>,
    /// Branches of the pixel decoder that are left out; drawn for `B` pictures and its depth.
    pub drop_path: Option<DropPath>,
}

impl Batch {
    /// A picture alone: nothing hidden, nothing to predict but itself.
    pub fn new(picture: Tensor<4>) -> Self {
        Self { picture, hidden: None, targets: Vec::new(), noise: None, drop_path: None }
    }
}

/// The objective's value, its parts, and what further terms are made of.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Weighted sum, `[1]`.
    pub total: Tensor<1>,
    /// Every term by name, `[1]` each and without its weight: `mse`, then the targets' names, then `kl`.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// `[B, 3, H, W]`
    pub reconstruction: Tensor<4>,
    /// What the decoder's last layer read, `[B, N, D]`.
    pub tokens: Tensor<3>,
    /// The latents, `[B, L, C]`.
    pub z: Tensor<3>,
}

impl Objective {
    /// One training forward.
    ///
    /// # Panics
    /// If there is a target without a decoder, or if shapes do not fit the tokenizer.
    pub fn losses(&self, tokenizer: &Tokenizer, auxiliary: &AuxiliaryDecoders, batch: Batch) -> Losses {
        let Batch { picture, hidden, targets, noise, drop_path } = batch;
        let (z, divergence) = match noise.and_then(|noise| Some((tokenizer.posterior(picture.clone())?, noise))) {
            Some((posterior, noise)) => (posterior.sample(noise), Some(posterior.kl().mean())),
            None => (tokenizer.encode(picture.clone(), hidden.as_ref().map(|hidden| hidden.mask.clone())), None),
        };
        let tokens = tokenizer.decode_tokens(z.clone(), drop_path.as_ref()); // [B, N, D]
        let reconstruction = tokenizer.picture_of_tokens(tokens.clone()); // [B, 3, H, W]
        let mse = losses::pixels(reconstruction.clone(), picture);
        let mut total = mse.clone();
        let mut parts = vec![("mse", mse)];
        let mut add = |name, weight: f64, term: Tensor<1>| {
            total = total.clone() + term.clone() * weight;
            parts.push((name, term));
        };

        let only = hidden.as_ref().filter(|_| self.hidden_only);
        let asked = self.asks_for_targets(hidden.is_some());
        for (kind, target) in targets.into_iter().filter(|_| asked) {
            let decoder = auxiliary.get(kind).unwrap_or_else(|| panic!("no auxiliary decoder for {kind:?}"));
            let prediction = decoder.forward(z.clone()); // [B, N, T]
            let per_patch = Distance::of(kind).per_patch(prediction, target); // [B, N]
            add(kind.name(), self.weight(kind), over_patches(per_patch, only));
        }
        if let Some(divergence) = divergence {
            add("kl", self.kl, divergence);
        }
        Losses { total, parts, reconstruction, tokens, z }
    }

    /// Whether targets are of any use in a forward that hides patches, or does not.
    pub fn asks_for_targets(&self, hides: bool) -> bool {
        hides || !self.hidden_only
    }

    /// Weight of an auxiliary term.
    pub fn weight(&self, kind: TargetKind) -> f64 {
        match kind {
            TargetKind::Hog => self.hog,
            TargetKind::Dino => self.dino,
            TargetKind::Clip => self.clip,
            TargetKind::EfficientNet => self.efficientnet,
        }
    }
}
