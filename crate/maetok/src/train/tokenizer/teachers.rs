//! The frozen teachers of a tokenizer run.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::tokenizer::{TargetKind, TokenizerConfig};
use crate::train::run_folder::read;
use crate::train::teacher::{Teacher, TeacherConfig};
use crate::{Error, Result};

/// A frozen teacher and where its weights are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherFile {
    /// Which auxiliary decoder learns from it: `dino` or `clip`.
    pub kind: TargetKind,
    /// A safetensors file under timm's names.
    pub file: PathBuf,
    /// Its sizes.
    pub config: TeacherConfig,
    /// Weight of its term; 1 in the official recipe.
    pub weight: f64,
}

/// Refuses teachers that do not see what the tokenizer sees.
///
/// # Errors
/// [`Error::Setting`] for the first.
pub fn check(teachers: &[TeacherFile], config: &TokenizerConfig) -> Result<()> {
    for (at, TeacherFile { kind, config: teacher, weight, .. }) in teachers.iter().enumerate() {
        let name = kind.name();
        if *kind == TargetKind::Hog || teachers[..at].iter().any(|other| other.kind == *kind) {
            return Err(Error::setting("teachers", name, "dino or clip, each at most once"));
        }
        if (teacher.image_size, teacher.patch_size) != (config.image_size, config.patch_size) {
            let got = format!("{name} for {} px in {} px patches", teacher.image_size, teacher.patch_size);
            let want = format!("for the tokenizer's {} px in {} px patches", config.image_size, config.patch_size);
            return Err(Error::setting("teachers", got, want));
        }
        if !(weight.is_finite() && *weight > 0.0) {
            return Err(Error::setting("teachers", format!("{name} with weight {weight}"), "of positive weight"));
        }
    }
    Ok(())
}

/// The loaded teachers.
#[derive(Debug)]
pub struct Teachers(Vec<(TargetKind, Teacher)>);

impl Teachers {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`TeacherConfig::load`], and [`Error::Io`] for a file that cannot be read.
    pub fn load(files: &[TeacherFile], device: &Device) -> Result<Self> {
        let teachers = files.iter().map(|TeacherFile { kind, file, config, .. }| {
            let bytes = read(file)?;
            Ok((*kind, config.load(&[&bytes], device)?))
        });
        Ok(Self(teachers.collect::<Result<_>>()?))
    }

    /// Every teacher's features of `[B, 3, H, W]`: `[B, N, D]` each, constants.
    pub fn targets(&self, picture: &Tensor<4>) -> impl Iterator<Item = (TargetKind, Tensor<3>)> {
        self.0.iter().map(|(kind, teacher)| (*kind, teacher.targets(picture.clone())))
    }
}
