//! The frozen networks that a tokenizer run asks, on one device.

use burn::tensor::Device;

use super::perceptual::Perceptual;
use super::settings::TokenizerTraining;
use super::teachers::Teachers;
use crate::Result;
use crate::tokenizer::TokenizerConfig;

/// Who says what the features are and how pictures look.
pub struct Networks {
    pub teachers: Teachers,
    pub perceptual: Option<Perceptual>,
}

impl Networks {
    /// Loads what the settings name onto `device`, an autodiff device.
    ///
    /// # Errors
    /// As [`Teachers::load`] and [`Perceptual::load`].
    pub fn load(settings: &TokenizerTraining, config: &TokenizerConfig, device: &Device) -> Result<Self> {
        Ok(Self {
            teachers: Teachers::load(&settings.teachers, config, device)?,
            perceptual: Perceptual::load(&settings.perceptual, config, device)?,
        })
    }
}
