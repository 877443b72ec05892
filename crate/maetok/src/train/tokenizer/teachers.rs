//! The frozen teachers of a tokenizer run.

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::weights::from_files;
use crate::features::{EfficientNetLite0, PatchTeacher, STAGES};
use crate::tokenizer::{TargetKind, TokenizerConfig};
use crate::train::teacher::{Teacher, TeacherConfig};
use crate::{Error, Result};

/// The stage of EfficientNet-Lite0 that is read where none is named: the last at a sixteenth of its side.
const STAGE: usize = 4;
/// Pixels of the network's side per place of that stage.
const STRIDE: usize = 16;

/// A frozen teacher, whose features one of the auxiliary decoders learns to predict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherTraining {
    /// What it is: `dino` or `clip`, from a file, or `efficientnet`, which needs none.
    pub kind: TargetKind,
    /// Weight of its term; 1 in the official recipe.
    #[serde(default = "one")]
    pub weight: f64,
    /// A safetensors file under timm's names, of `dino` and `clip`.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The sizes of the network in the file, where it is not the official one, resampled to the tokenizer's patches.
    #[serde(default)]
    pub config: Option<TeacherConfig>,
    /// Which of EfficientNet-Lite0's [`STAGES`] is predicted, from 0; by default the fifth, 4.
    #[serde(default)]
    pub stage: Option<usize>,
    /// The side in pixels that EfficientNet-Lite0 sees; by default the one whose fifth stage has a place for each patch,
    /// as far as it goes.
    #[serde(default)]
    pub side: Option<usize>,
}

fn one() -> f64 {
    1.0
}

impl TeacherTraining {
    /// With the defaults of its kind, of weight 1. A `dino` or `clip` still needs a file.
    pub fn new(kind: TargetKind) -> Self {
        Self { kind, weight: 1.0, file: None, config: None, stage: None, side: None }
    }

    /// Values per patch that it gives to a tokenizer of these sizes.
    pub(super) fn target_size(&self, config: &TokenizerConfig) -> usize {
        match self.kind {
            TargetKind::EfficientNet => STAGES[self.stage.unwrap_or(STAGE)].channels,
            _ => self.vit(config).size.width,
        }
    }

    fn vit(&self, config: &TokenizerConfig) -> TeacherConfig {
        self.config.unwrap_or_else(|| {
            let official = match self.kind {
                TargetKind::Clip => TeacherConfig::siglip_so400m(config.image_size),
                _ => TeacherConfig::dinov2_large(config.image_size),
            };
            TeacherConfig { patch_size: config.patch_size, ..official }
        })
    }

    fn check(&self, config: &TokenizerConfig) -> Result<()> {
        let name = self.kind.name();
        let refuse = |got: String, want: &str| Err(Error::setting("teachers", got, want));
        if !(self.weight.is_finite() && self.weight > 0.0) {
            return refuse(format!("{name} with weight {}", self.weight), "of positive weight");
        }
        match self.kind {
            TargetKind::Hog => refuse(name.to_owned(), "dino, clip or efficientnet, each at most once"),
            TargetKind::EfficientNet => {
                if self.file.is_some() || self.config.is_some() {
                    return refuse(format!("{name} with a file"), "without: its weights are in the program");
                }
                let stage = self.stage.unwrap_or(STAGE);
                if stage >= STAGES.len() {
                    return Err(Error::setting("stage", stage, format!("from 0 to {}", STAGES.len() - 1)));
                }
                Ok(())
            }
            TargetKind::Dino | TargetKind::Clip => {
                if self.file.is_none() {
                    return refuse(format!("{name} without a file"), "with the safetensors file of its weights");
                }
                if self.stage.is_some() || self.side.is_some() {
                    return refuse(format!("{name} with a stage or a side"), "without: those are efficientnet's");
                }
                let vit = self.vit(config);
                vit.size.check()?;
                if (vit.image_size, vit.patch_size) != (config.image_size, config.patch_size) {
                    let got = format!("{name} for {} px in {} px patches", vit.image_size, vit.patch_size);
                    let [image, patch] = [config.image_size, config.patch_size];
                    return refuse(got, &format!("for the tokenizer's {image} px in {patch} px patches"));
                }
                Ok(())
            }
        }
    }

    fn load(&self, config: &TokenizerConfig, device: &Device) -> Result<Network> {
        // Off the autodiff device: nothing of a teacher is differentiated.
        let device = device.clone().inner();
        if self.kind == TargetKind::EfficientNet {
            let grid = config.image_size / config.patch_size;
            let side = self.side.unwrap_or_else(|| EfficientNetLite0::side_for(STRIDE * grid));
            let network = EfficientNetLite0::shipped(side, &device)?;
            let stage = self.stage.unwrap_or(STAGE);
            return Ok(Network::Stage(PatchTeacher::new(network, stage, config.image_size, config.patch_size)?));
        }
        let files: Vec<PathBuf> = self.file.iter().cloned().collect();
        let what = format!("the {} teacher for {} px", self.kind.name(), config.image_size);
        Ok(Network::Vit(from_files(&files, &what, |bytes| self.vit(config).load(bytes, &device))?))
    }
}

/// Refuses teachers that do not see what the tokenizer sees.
///
/// # Errors
/// [`Error::Setting`] for the first.
pub fn check(teachers: &[TeacherTraining], config: &TokenizerConfig) -> Result<()> {
    for (at, teacher) in teachers.iter().enumerate() {
        teacher.check(config)?;
        if teachers[..at].iter().any(|other| other.kind == teacher.kind) {
            return Err(Error::setting("teachers", format!("{} twice", teacher.kind.name()), "of different kinds"));
        }
    }
    Ok(())
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are three of them in a run at most")]
enum Network {
    Vit(Teacher),
    Stage(PatchTeacher),
}

/// The loaded teachers.
#[derive(Debug)]
pub struct Teachers(Vec<(TargetKind, Network)>);

impl Teachers {
    /// Loads all of them.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Training`] for one of another network,
    /// [`Error::Setting`] for a side that EfficientNet-Lite0 does not take.
    pub fn load(teachers: &[TeacherTraining], config: &TokenizerConfig, device: &Device) -> Result<Self> {
        let loaded = teachers.iter().map(|teacher| Ok((teacher.kind, teacher.load(config, device)?)));
        Ok(Self(loaded.collect::<Result<_>>()?))
    }

    /// Every teacher's features of `[B, 3, H, W]`: `[B, N, T]` each, constants.
    pub fn targets(&self, picture: &Tensor<4>) -> impl Iterator<Item = (TargetKind, Tensor<3>)> {
        self.0.iter().map(|(kind, network)| {
            let picture = picture.clone().inner();
            let features = match network {
                Network::Vit(teacher) => teacher.targets(picture),
                Network::Stage(teacher) => teacher.targets(picture),
            };
            (*kind, features)
        })
    }
}
