//! One face for both discriminators: pictures in, logits out.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::augment::{AugmentDraws, AugmentPolicy};
use super::heads::DinoHeads;
use super::losses;
use super::patch::{PatchConfig, PatchDiscriminator};
use super::trunk::{DinoConfig, DinoTrunk};
use crate::Result;
use crate::checkpoint::{self, Storage};
use crate::rng::Rng;
use crate::train::optimiser::with_stable_ids;

/// Which statistics a forward pass uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of the batch; running statistics and the vectors of the spectral norm move on.
    Training,
    /// Those of the training so far; nothing moves.
    Evaluation,
}

/// Probability that a picture larger than the trunk's is cropped, not shrunk.
const CROP_PROBABILITY: f64 = 0.5;

/// A frozen DINO trunk with trained heads.
#[derive(Module, Debug)]
pub struct DinoDiscriminator {
    /// The frozen part.
    pub dino: DinoTrunk,
    /// The trained part.
    pub heads: DinoHeads,
}

/// Tells real pictures from generated ones.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them in a run")]
pub enum Discriminator {
    /// On the features of a pretrained network, for pictures of 224 px and more; the published recipe.
    Dino(DinoDiscriminator),
    /// From scratch, for small pictures.
    Patch(PatchDiscriminator),
}

/// What is drawn for one batch of pictures on its way into the discriminator.
#[derive(Clone, Debug, PartialEq)]
pub struct PassDraws {
    /// Of DiffAugment.
    pub augment: AugmentDraws,
    /// Row and column of a crop of the trunk's size, one for the batch.
    pub crop: Option<[usize; 2]>,
}

impl PassDraws {
    /// The draws of some of the pictures, for a batch that is computed in parts.
    ///
    /// # Panics
    /// If the batch has no such pictures.
    pub fn part(&self, pictures: std::ops::Range<usize>) -> Self {
        Self { augment: self.augment.part(pictures), crop: self.crop }
    }
}

impl Discriminator {
    /// A frozen trunk with fresh heads. `weights` are those of the trunk, see [`DinoConfig::load`].
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) or [`Error::WeightsMismatch`](crate::Error::WeightsMismatch) if the
    /// weights are not those of a DINO ViT-S/16.
    pub fn dino(weights: &[u8], device: &Device) -> Result<Self> {
        Ok(Self::on_trunk(DinoConfig::vit_s16().load(weights, device)?, device))
    }

    /// Fresh heads on a trunk of any size.
    pub fn on_trunk(dino: DinoTrunk, device: &Device) -> Self {
        let (width, count) = dino.readouts();
        Self::made(Self::Dino(DinoDiscriminator { dino, heads: DinoHeads::new(width, count, device) }))
    }

    /// A discriminator that starts from nothing.
    pub fn patch(config: &PatchConfig, device: &Device) -> Self {
        Self::made(Self::Patch(config.init(device)))
    }

    /// Makes every parameter now. Burn makes them when they are first used and lets clones share what is pending: to
    /// freeze a copy, as the generator's loss does, would freeze the original with it.
    fn made(self) -> Self {
        with_stable_ids(self)
    }

    /// Logits, high for what looks real.
    ///
    /// # Shapes
    /// `picture` `[B, 3, H, W]` in [-1, 1]; `crop` as for [`DinoTrunk::forward`], ignored by a patch discriminator; result
    /// `[B, M]`: 980 logits for the published trunk, H/8 · W/8 for the patch discriminator.
    pub fn forward(&mut self, picture: Tensor<4>, crop: Option<[usize; 2]>, mode: Mode) -> Tensor<2> {
        match self {
            Self::Dino(DinoDiscriminator { dino, heads }) => heads.forward(dino.forward(picture, crop), mode),
            Self::Patch(patch) => patch.forward(picture, mode),
        }
    }

    /// Logits of augmented pictures, in training. Shapes: as for [`forward`](Self::forward), with square pictures.
    pub fn judge(&mut self, picture: Tensor<4>, draws: &PassDraws) -> Tensor<2> {
        self.forward(draws.augment.apply(picture), draws.crop, Mode::Training)
    }

    /// The generator's loss, `-mean(logits)` of augmented generated pictures, with a gradient for the pictures alone.
    ///
    /// Normalised by the batch as in training. What a training pass would move is moved on a copy and dropped: so the
    /// pass needs no exclusive access, and the parts of a batch can be computed side by side.
    ///
    /// # Shapes
    /// `fake` `[B, 3, H, H]` in [-1, 1]; result `[1]`.
    pub fn generator_loss(&self, fake: Tensor<4>, draws: &PassDraws) -> Tensor<1> {
        losses::generator(self.clone().no_grad().judge(fake, draws))
    }

    /// Draws for one pass of a batch of square pictures of `side` pixels.
    pub fn draw(&self, rng: &mut Rng, policy: AugmentPolicy, batch: usize, side: usize) -> PassDraws {
        let augment = AugmentDraws::new(rng, policy, batch, side);
        // Drawn in any case, so that the position in the stream does not depend on the gate.
        let crop = match self {
            Self::Dino(DinoDiscriminator { dino, .. }) if side > dino.image_size() => {
                let places = side - dino.image_size() + 1;
                let (gate, place) = (rng.uniform(), [(); 2].map(|()| rng.below(places)));
                (gate <= CROP_PROBABILITY).then_some(place)
            }
            _ => None,
        };
        PassDraws { augment, crop }
    }

    /// The trained part and the tensors of `extra` as a safetensors file; for DINO heads, the official keys.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) if a value is not finite.
    pub fn save(&self, extra: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Vec<u8>> {
        match self {
            Self::Dino(DinoDiscriminator { heads, .. }) => checkpoint::save(&heads.valid(), Storage::F32, extra),
            Self::Patch(patch) => checkpoint::save(&patch.valid(), Storage::F32, extra),
        }
    }

    /// Fills the trained part from a file that [`save`](Self::save) wrote, or from official weights of the heads.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) or [`Error::WeightsMismatch`](crate::Error::WeightsMismatch) if they do
    /// not fit.
    pub fn load(self, weights: &[u8]) -> Result<Self> {
        Ok(match self {
            Self::Dino(DinoDiscriminator { dino, heads }) => {
                Self::Dino(DinoDiscriminator { dino, heads: checkpoint::load(heads, &[weights])?.0 })
            }
            Self::Patch(patch) => Self::Patch(checkpoint::load(patch, &[weights])?.0),
        })
    }
}
