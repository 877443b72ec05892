//! The weights that a tokenizer's run begins with: fresh ones, or those of a finished run.

use burn::tensor::Device;

use super::{Start, Trained};
use crate::checkpoint::{self, Storage};
use crate::tokenizer::{TokenizerConfig, VitSize};
use crate::train::data::{Draw, Pictures};
use crate::train::evaluation;
use crate::train::latents::Source;
use crate::{Error, Result};

/// Pictures the linear start is fitted to.
const FITTED: usize = 2048;
/// Values they may take up together: 256 MB.
const FITTED_VALUES: usize = 1 << 26;

/// Fresh weights; `auxiliary` is the size of the auxiliary decoders.
///
/// # Errors
/// If weights cannot be carried over.
pub fn fresh(
    mut model: Trained,
    start: Start,
    config: &TokenizerConfig,
    auxiliary: VitSize,
    pictures: &Pictures,
    notices: &mut Vec<String>,
    device: &Device,
) -> Result<Trained> {
    if start == Start::Official {
        return Ok(model);
    }
    model.auxiliary = model.auxiliary.with_spatial_start(config, auxiliary);
    if start == Start::Linear {
        // Not on the autodiff device: it would keep every intermediate value for a backward pass that never comes.
        let plain = device.clone().inner();
        let fitted = FITTED.min(FITTED_VALUES / (3 * config.image_size.pow(2)));
        let draw = |index| Draw { index, mirrored: false };
        let draws: Vec<Draw> = pictures.subset(fitted).into_iter().map(draw).collect();
        match config.init(&plain)?.with_linear_start(config, &evaluation::tensor(pictures, &draws, &plain)) {
            Ok(tokenizer) => {
                let weights = checkpoint::save(&tokenizer, Storage::F32, &Default::default())?;
                model.tokenizer = checkpoint::load(model.tokenizer, &[&weights])?.0;
                return Ok(model);
            }
            Err(reason) => notices.push(format!("a spatial start instead of a linear one: {reason}")),
        }
    }
    model.tokenizer = model.tokenizer.with_spatial_start(config);
    Ok(model)
}

/// The weights of `source` for the tokenizer. Auxiliary decoders start afresh, and local but where `start` is the
/// official one.
///
/// # Errors
/// [`Error::WeightsMismatch`] if they do not fit.
pub fn taken_over(
    mut model: Trained,
    source: &Source,
    start: Start,
    config: &TokenizerConfig,
    auxiliary: VitSize,
) -> Result<Trained> {
    if start != Start::Official {
        model.auxiliary = model.auxiliary.with_spatial_start(config, auxiliary);
    }
    model.tokenizer = checkpoint::load(model.tokenizer, &[&source.weights])?.0;
    Ok(model)
}

/// Refuses to start a tokenizer of these sizes from the weights of another.
///
/// # Errors
/// [`Error::Setting`] naming the first field that differs.
pub fn check(source: &TokenizerConfig, config: &TokenizerConfig) -> Result<()> {
    if source.token_drop.is_none() && config.token_drop.is_some() {
        return Err(Error::setting("from", "a tokenizer trained without masks", "one with, or no masks (0x0) here"));
    }
    // Neither masks nor the latents' statistics change what a tokenizer is.
    let sizes = |config: &TokenizerConfig| {
        let plain = TokenizerConfig { token_drop: None, latent_mean: 0.0, latent_std: 1.0, ..config.clone() };
        serde_json::from_str::<serde_json::Map<_, _>>(&plain.to_json()).expect("a configuration is an object")
    };
    let (theirs, ours) = (sizes(source), sizes(config));
    match theirs.iter().find(|(field, value)| ours.get(*field) != Some(value)) {
        Some((field, value)) => {
            let want = format!("one with {field} = {}", ours.get(field).unwrap_or(&serde_json::Value::Null));
            Err(Error::setting("from", format!("a tokenizer with {field} = {value}"), want))
        }
        None => Ok(()),
    }
}
