//! The perceptual term of a tokenizer run.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::weights::from_files;
use crate::features::{EfficientNetLite0, Lpips, PerceptualDistance};
use crate::tokenizer::TokenizerConfig;
use crate::train::checks::check_not_negative;
use crate::{Error, Result};

/// Smallest side of a picture that VGG16 halves four times.
const LPIPS_SIDE: usize = 16;

/// Whose eyes compare a reconstruction with its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PerceptualKind {
    /// Nobody's: there is no perceptual term.
    #[default]
    None,
    /// [`PerceptualDistance`], whose weights the program carries.
    EfficientNet,
    /// [`Lpips`], the official one, with weights from files.
    Lpips,
}

/// Settings of the perceptual term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PerceptualTraining {
    /// Which network compares.
    pub kind: PerceptualKind,
    /// Weight of the term; 1 in the official recipe.
    pub weight: f64,
    /// Updates over which the weight rises from 0; 10,000 in the official recipe.
    pub warmup: u64,
    /// The side in pixels that EfficientNet-Lite0 sees; by default the smallest it takes that holds the pictures.
    pub side: Option<usize>,
    /// LPIPS's weights, safetensors files under the official keys: VGG16 and its heads, in one file or in two.
    pub files: Vec<PathBuf>,
}

impl Default for PerceptualTraining {
    fn default() -> Self {
        Self { kind: PerceptualKind::None, weight: 1.0, warmup: 0, side: None, files: Vec::new() }
    }
}

impl PerceptualTraining {
    /// Weight of the term at update `step`.
    pub fn weight_at(&self, step: u64) -> f64 {
        if self.kind == PerceptualKind::None {
            return 0.0;
        }
        if step < self.warmup { self.weight * step as f64 / self.warmup as f64 } else { self.weight }
    }

    pub(super) fn validate(&self, config: &TokenizerConfig) -> Result<()> {
        check_not_negative(&[("perceptual-weight", self.weight)])?;
        if self.kind == PerceptualKind::Lpips {
            if self.files.is_empty() {
                return Err(Error::setting(
                    "perceptual",
                    "lpips without its weights",
                    "given their files, or efficientnet",
                ));
            }
            if config.image_size < LPIPS_SIDE {
                let got = format!("lpips for pictures of {} px", config.image_size);
                return Err(Error::setting("perceptual", got, format!("for pictures of {LPIPS_SIDE} px or more")));
            }
        }
        Ok(())
    }
}

/// The loaded network.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them in a run")]
pub enum Perceptual {
    EfficientNet(PerceptualDistance),
    Lpips(Lpips),
}

impl Perceptual {
    /// Loads the network that the settings name onto `device`, an autodiff device.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Training`] for one of another network,
    /// [`Error::Setting`] for a side that EfficientNet-Lite0 does not take.
    pub fn load(settings: &PerceptualTraining, config: &TokenizerConfig, device: &Device) -> Result<Option<Self>> {
        Ok(match settings.kind {
            PerceptualKind::None => None,
            PerceptualKind::EfficientNet => {
                let side = settings.side.unwrap_or_else(|| EfficientNetLite0::side_for(config.image_size));
                Some(Self::EfficientNet(PerceptualDistance::new(EfficientNetLite0::shipped(side, device)?)))
            }
            PerceptualKind::Lpips => {
                let load = |bytes: &[&[u8]]| Lpips::load(bytes, device);
                Some(Self::Lpips(from_files(&settings.files, "LPIPS with VGG16", load)?))
            }
        })
    }

    /// Mean distance of the pictures of a batch from their targets. Shapes: both `[B, 3, H, W]`; result `[1]`.
    pub fn mean(&self, picture: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
        match self {
            Self::EfficientNet(distance) => distance.forward(picture, target),
            Self::Lpips(lpips) => lpips.forward(picture, target),
        }
        .mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_rises_over_the_warm_up_and_stays() {
        let settings =
            PerceptualTraining { kind: PerceptualKind::EfficientNet, weight: 2.0, warmup: 4, ..Default::default() };
        let weights: Vec<f64> = [0, 1, 3, 4, 900].map(|step| settings.weight_at(step)).into();
        assert_eq!(weights, [0.0, 0.5, 1.5, 2.0, 2.0]);
        assert_eq!(PerceptualTraining { warmup: 0, ..settings.clone() }.weight_at(0), 2.0);
        assert_eq!(PerceptualTraining { kind: PerceptualKind::None, ..settings }.weight_at(900), 0.0);
    }
}
