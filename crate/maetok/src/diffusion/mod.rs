//! The generator: a network that predicts the velocity of a latent on its way from noise to data. SiT is the released
//! one, LightningDiT the paper's other.
//!
//! Sampling is not here: see [`crate::sampler`].

pub mod embed;
pub mod generator;
pub mod lightning;
pub mod modulations;
pub mod path;
pub mod sit;

#[cfg(test)]
pub(crate) mod parity;

pub use generator::{Generator, GeneratorConfig};
pub use lightning::{LightningConfig, LightningDit};
pub use modulations::Modulations;
pub use path::PathType;
pub use sit::{Sit, SitConfig};
