//! Flags for what a tokenizer's run minimises beside pixels, and for what it begins with.

use std::path::PathBuf;

use clap::Args;
use maetok::tokenizer::TargetKind;
use maetok::train::{AdversarialKind, PerceptualKind, TeacherTraining, TokenizerTraining};
use maetok::{Error, Result};

use super::set;
use crate::settings::{choice, number};

/// What must not be negative.
const NOT_NEGATIVE: &str = "a number that is not negative";
/// What a teacher may be.
const TEACHERS: &str = "efficientnet, efficientnet=STAGE, dino=FILE, clip=FILE or none";

/// See the module text.
#[derive(Args, Debug)]
pub struct ObjectiveArgs {
    /// Starts from the averaged weights of a run's newest checkpoint, or from a model folder's; sizes are then that
    /// model's, and --start does not apply.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["start", "image_size", "patch_size", "latent", "encoder",
        "decoder"])]
    from: Option<PathBuf>,
    /// Perceptual term: none, efficientnet (needs no file) or lpips (with --perceptual-file) [default: the recipe's].
    #[arg(long, value_name = "NAME",
        value_parser = choice::<PerceptualKind>("perceptual", "none, efficientnet or lpips"))]
    perceptual: Option<PerceptualKind>,
    /// Weight of the perceptual term, 0 or more [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("perceptual-weight", NOT_NEGATIVE))]
    perceptual_weight: Option<f64>,
    /// Updates over which the perceptual term's weight rises from 0 [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<u64>("perceptual-warmup", "a number from 0"))]
    perceptual_warmup: Option<u64>,
    /// Weights of lpips, safetensors under the official keys; twice if VGG16 and its heads lie apart [default: the
    /// recipe's].
    #[arg(long, value_name = "FILE")]
    perceptual_file: Vec<PathBuf>,
    /// Adversarial term: none, patch (a small discriminator from scratch) or dino (with --adversarial-trunk) [default:
    /// the recipe's].
    #[arg(long, value_name = "NAME", value_parser = choice::<AdversarialKind>("adversarial", "none, patch or dino"))]
    adversarial: Option<AdversarialKind>,
    /// Weight of the adversarial term, above 0 [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("adversarial-weight", "a positive number"))]
    adversarial_weight: Option<f64>,
    /// First update with an adversarial term [default: the recipe's].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = number::<u64>("adversarial-start", "a number from 0"))]
    adversarial_start: Option<u64>,
    /// Highest learning rate of the discriminator, above 0 [default: the recipe's, or the tokenizer's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("adversarial-lr", "a positive number"))]
    adversarial_lr: Option<f64>,
    /// Weights of the frozen DINO ViT-S/16 below dino's heads, safetensors under the official keys [default: the
    /// recipe's].
    #[arg(long, value_name = "FILE")]
    adversarial_trunk: Option<PathBuf>,
    /// Weight of LeCAM in the discriminator's loss, 0 or more [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = number::<f64>("lecam", NOT_NEGATIVE))]
    lecam: Option<f64>,
    /// Weight of the discriminator's consistency under augmentation, 0 or more [default: the recipe's, or 4 for dino
    /// and 0 for patch].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("consistency", NOT_NEGATIVE))]
    consistency: Option<f64>,
    /// Whose features an auxiliary decoder predicts, in place of the recipe's teachers: efficientnet or
    /// efficientnet=STAGE (0 to 6; needs no file), dino=FILE (DINOv2 ViT-L), clip=FILE (SigLIP so400m), both under
    /// timm's keys and resampled to the pictures; or none. May be given for each [default: the recipe's].
    #[arg(long, value_name = "KIND[=FILE]", value_parser = teacher)]
    teacher: Vec<TeacherFlag>,
    /// Share of the pixel decoder's branches that are left out at its last block, 0 to below 1 [default: the recipe's].
    #[arg(long, value_name = "X", allow_negative_numbers = true,
        value_parser = number::<f64>("drop-path", "at least 0 and below 1"))]
    drop_path: Option<f64>,
}

/// A teacher, or the word that there is none.
#[derive(Clone, Debug)]
struct TeacherFlag(Option<TeacherTraining>);

/// Reads `KIND`, `KIND=FILE` or `efficientnet=STAGE`.
fn teacher(text: &str) -> Result<TeacherFlag> {
    let refused = || Error::setting("teacher", text, TEACHERS);
    let (kind, of) = text.split_once('=').map_or((text, None), |(kind, of)| (kind, Some(of)));
    let from_file = |kind, file: &str| {
        let file = Some(PathBuf::from(file)).filter(|file| !file.as_os_str().is_empty());
        file.map(|file| TeacherTraining { file: Some(file), ..TeacherTraining::new(kind) }).ok_or_else(refused)
    };
    let teacher = match (kind, of) {
        ("none", None) => return Ok(TeacherFlag(None)),
        ("efficientnet", None) => TeacherTraining::new(TargetKind::EfficientNet),
        ("efficientnet", Some(stage)) => {
            let stage = Some(stage.parse().map_err(|_| refused())?);
            TeacherTraining { stage, ..TeacherTraining::new(TargetKind::EfficientNet) }
        }
        ("dino", Some(file)) => from_file(TargetKind::Dino, file)?,
        ("clip", Some(file)) => from_file(TargetKind::Clip, file)?,
        _ => return Err(refused()),
    };
    Ok(TeacherFlag(Some(teacher)))
}

impl ObjectiveArgs {
    /// What is decided when a run begins: the networks whose state or whose targets it carries on.
    pub fn of_the_start(&self) -> [(&'static str, bool); 4] {
        [
            ("--from", self.from.is_some()),
            ("--teacher", !self.teacher.is_empty()),
            ("--adversarial", self.adversarial.is_some()),
            ("--adversarial-trunk", self.adversarial_trunk.is_some()),
        ]
    }

    /// Puts the flags into the settings of a run.
    pub fn apply(&self, settings: &mut TokenizerTraining) {
        if self.from.is_some() {
            settings.init_from.clone_from(&self.from);
        }
        let perceptual = &mut settings.perceptual;
        set(&mut perceptual.kind, self.perceptual);
        set(&mut perceptual.weight, self.perceptual_weight);
        set(&mut perceptual.warmup, self.perceptual_warmup);
        if !self.perceptual_file.is_empty() {
            perceptual.files.clone_from(&self.perceptual_file);
        }
        let adversarial = &mut settings.adversarial;
        set(&mut adversarial.kind, self.adversarial);
        set(&mut adversarial.weight, self.adversarial_weight);
        set(&mut adversarial.start, self.adversarial_start);
        set(&mut adversarial.lecam, self.lecam);
        adversarial.lr = self.adversarial_lr.or(adversarial.lr);
        adversarial.consistency = self.consistency.or(adversarial.consistency);
        if self.adversarial_trunk.is_some() {
            adversarial.trunk.clone_from(&self.adversarial_trunk);
        }
        if !self.teacher.is_empty() {
            settings.teachers = self.teacher.iter().filter_map(|flag| flag.0.clone()).collect();
        }
        set(&mut settings.drop_path, self.drop_path);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_teacher_is_named_by_kind_with_its_stage_or_its_file() {
        let read = |text| teacher(text).unwrap().0;
        assert_eq!(read("none"), None);
        assert_eq!(read("efficientnet").unwrap(), TeacherTraining::new(TargetKind::EfficientNet));
        assert_eq!(read("efficientnet=2").unwrap().stage, Some(2));
        let dino = read("dino=a=b.safetensors").unwrap();
        assert_eq!((dino.kind, dino.file.as_deref()), (TargetKind::Dino, Some(Path::new("a=b.safetensors"))));
        for text in ["", "hog", "dino", "clip=", "efficientnet=two", "efficientnet=-1", "none=1", "DINO=a"] {
            let message = teacher(text).unwrap_err().to_string();
            assert!(message.contains(TEACHERS), "{text}: {message}");
        }
    }
}
