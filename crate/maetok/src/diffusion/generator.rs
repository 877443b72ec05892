//! Whichever network predicts the velocity: SiT or LightningDiT.
//!
//! A `config.json` without the field `generator` is SiT's, as the official files have none.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde_json::Value;

use super::{LightningConfig, LightningDit, Modulations, Sit, SitConfig};
use crate::{Error, Result};

/// Value of the field `generator` for a LightningDiT.
const LIGHTNING: &str = "lightningdit";

/// Sizes of a [`Generator`].
#[derive(Clone, Debug, PartialEq)]
pub enum GeneratorConfig {
    /// SiT, the released generator.
    Sit(SitConfig),
    /// LightningDiT.
    Lightning(LightningConfig),
}

impl From<SitConfig> for GeneratorConfig {
    fn from(config: SitConfig) -> Self {
        Self::Sit(config)
    }
}

impl From<LightningConfig> for GeneratorConfig {
    fn from(config: LightningConfig) -> Self {
        Self::Lightning(config)
    }
}

/// A field that both configurations have.
macro_rules! field {
    ($config:expr, $field:ident) => {
        match $config {
            GeneratorConfig::Sit(config) => config.$field,
            GeneratorConfig::Lightning(config) => config.$field,
        }
    };
}

impl GeneratorConfig {
    /// Reads a `config.json` of either kind.
    ///
    /// # Errors
    /// [`Error::Config`] if a field is missing, the sizes do not fit together, or the kind is unknown.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let wrong = |e| Error::config("config.json", e, "the flat fields of a generator's configuration");
        let value: Value = serde_json::from_slice(json).map_err(wrong)?;
        match value.get("generator").map(|kind| kind.as_str().unwrap_or_default()) {
            None => SitConfig::from_json(json).map(Self::Sit),
            Some(LIGHTNING) => {
                let config: LightningConfig = serde_json::from_value(value).map_err(wrong)?;
                config.validate()?;
                Ok(Self::Lightning(config))
            }
            Some(kind) => Err(Error::config("generator", kind, format!("{LIGHTNING}, or left out for SiT"))),
        }
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that does not.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Sit(config) => config.validate(),
            Self::Lightning(config) => config.validate(),
        }
    }

    /// Writes the flat fields; [`from_json`](Self::from_json) reads them back.
    pub fn to_json(&self) -> String {
        match self {
            Self::Sit(config) => config.to_json(),
            Self::Lightning(config) => {
                let mut value = serde_json::to_value(config).expect("a struct of numbers has a JSON form");
                value["generator"] = LIGHTNING.into();
                serde_json::to_string_pretty(&value).expect("a map of numbers has a JSON form")
            }
        }
    }

    /// Number of latent tokens, `L`.
    pub fn tokens(&self) -> usize {
        field!(self, tokens)
    }

    /// Channels of a latent token, `C`.
    pub fn channels(&self) -> usize {
        field!(self, channels)
    }

    /// `K`; index `K` is the null class.
    pub fn classes(&self) -> usize {
        field!(self, classes)
    }

    /// Probability that a label is replaced by the null class in training.
    pub fn class_dropout_prob(&self) -> f64 {
        field!(self, class_dropout_prob)
    }

    /// The same network for other latents `[L, C]` and classes.
    pub fn with_latents(self, tokens: usize, channels: usize, classes: usize) -> Self {
        match self {
            Self::Sit(config) => Self::Sit(SitConfig { tokens, channels, classes, ..config }),
            Self::Lightning(config) => Self::Lightning(LightningConfig { tokens, channels, classes, ..config }),
        }
    }

    /// The same network with this width, depth and number of heads.
    pub fn with_size(self, width: usize, depth: usize, heads: usize) -> Self {
        match self {
            Self::Sit(config) => Self::Sit(SitConfig { width, depth, heads, ..config }),
            Self::Lightning(config) => Self::Lightning(LightningConfig { width, depth, heads, ..config }),
        }
    }

    /// The same network with so many blocks.
    pub fn with_depth(self, depth: usize) -> Self {
        match self {
            Self::Sit(config) => Self::Sit(SitConfig { depth, ..config }),
            Self::Lightning(config) => Self::Lightning(LightningConfig { depth, ..config }),
        }
    }

    /// The same network, trained with labels dropped at this probability.
    pub fn with_class_dropout(self, class_dropout_prob: f64) -> Self {
        match self {
            Self::Sit(config) => Self::Sit(SitConfig { class_dropout_prob, ..config }),
            Self::Lightning(config) => Self::Lightning(LightningConfig { class_dropout_prob, ..config }),
        }
    }

    /// Builds a generator with fresh weights on `device`.
    ///
    /// # Errors
    /// [`Error::Config`] if the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<Generator> {
        Ok(match self {
            Self::Sit(config) => Generator::Sit(config.init(device)?),
            Self::Lightning(config) => Generator::Lightning(config.init(device)?),
        })
    }
}

/// A network that predicts the velocity. Made by [`GeneratorConfig::init`].
///
/// Its parameters have the same keys as those of the network inside.
#[derive(Module, Debug)]
pub enum Generator {
    /// SiT.
    Sit(Sit),
    /// LightningDiT.
    Lightning(LightningDit),
}

impl Generator {
    /// Predicts the velocity.
    ///
    /// # Shapes
    /// - `x`: `[B, L, C]`, normalised latents
    /// - `t`: `[B]` in `[0, 1]`, 1 is noise
    /// - `y`: `[B]` in `0..=K`, `K` the null class
    /// - returns `[B, L, C]`
    pub fn forward(&self, x: Tensor<3>, t: Tensor<1>, y: Tensor<1, Int>) -> Tensor<3> {
        match self {
            Self::Sit(sit) => sit.forward(x, t, y),
            Self::Lightning(dit) => dit.forward(x, t, y),
        }
    }

    /// What the blocks are told at times `t` `[R]` of classes `y` `[R]`: for
    /// [`forward_modulated`](Self::forward_modulated), as often as is wanted.
    pub fn modulations(&self, t: Tensor<1>, y: Tensor<1, Int>) -> Modulations {
        match self {
            Self::Sit(sit) => sit.modulations(t, y),
            Self::Lightning(dit) => dit.modulations(t, y),
        }
    }

    /// Embeddings of classes `y` `[R]`, `K` the null class: `[R, D]`.
    pub fn embed_classes(&self, y: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Self::Sit(sit) => sit.embed_classes(y),
            Self::Lightning(dit) => dit.embed_classes(y),
        }
    }

    /// [`modulations`](Self::modulations) of embeddings `[R, D]`, which need not be those of one class.
    pub fn modulations_of(&self, t: Tensor<1>, classes: Tensor<2>) -> Modulations {
        match self {
            Self::Sit(sit) => sit.modulations_of(t, classes),
            Self::Lightning(dit) => dit.modulations_of(t, classes),
        }
    }

    /// [`forward`](Self::forward) of `x` `[B, L, C]`, whose modulations stand from `row` on.
    pub fn forward_modulated(&self, x: Tensor<3>, modulations: &Modulations, row: usize) -> Tensor<3> {
        match self {
            Self::Sit(sit) => sit.forward_modulated(x, modulations, row),
            Self::Lightning(dit) => dit.forward_modulated(x, modulations, row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint;

    #[test]
    fn keys_are_those_of_the_network_inside() {
        let device = Device::flex();
        let sit = SitConfig { width: 16, depth: 1, heads: 2, ..SitConfig::toon(3) };
        let inside = checkpoint::shapes(&sit.init(&device).unwrap());
        assert_eq!(checkpoint::shapes(&GeneratorConfig::from(sit).init(&device).unwrap()), inside);
        assert!(inside.iter().any(|(key, _)| key == "blocks.0.attn.qkv.weight"), "{inside:?}");
    }

    #[test]
    fn a_configuration_without_a_kind_is_sits_and_an_unknown_kind_is_refused() {
        let sit = SitConfig::toon(3);
        assert_eq!(GeneratorConfig::from_json(sit.to_json().as_bytes()).unwrap(), GeneratorConfig::Sit(sit));
        let error = GeneratorConfig::from_json(br#"{"generator": "unet"}"#).unwrap_err();
        assert!(matches!(error, Error::Config { field: "generator", .. }), "{error}");
        assert!(GeneratorConfig::from_json(br#"{"generator": "lightningdit"}"#).is_err(), "fields are missing");
    }

    #[test]
    fn sizes_can_be_replaced_in_either_kind() {
        for config in [GeneratorConfig::from(SitConfig::xl()), LightningConfig::xl().into()] {
            let config = config.with_latents(9, 8, 7).with_size(64, 2, 4).with_class_dropout(0.5);
            assert_eq!((config.tokens(), config.channels(), config.classes()), (9, 8, 7));
            assert_eq!(config.class_dropout_prob(), 0.5);
            let shapes = checkpoint::shapes(&config.init(&Device::flex()).unwrap());
            assert!(shapes.contains(&("blocks.1.attn.proj.weight".to_owned(), vec![64, 64])), "{shapes:?}");
            assert!(!shapes.iter().any(|(key, _)| key.starts_with("blocks.2.")), "two blocks");
        }
    }
}
