//! The generator: a SiT that predicts the velocity of a latent on its way from noise to data.
//!
//! Sampling is not here: see [`crate::sampler`].

pub mod embed;
pub mod path;
pub mod sit;

#[cfg(test)]
pub(crate) mod parity;

pub use path::PathType;
pub use sit::{Sit, SitConfig};
