//! MAETok: an image tokenizer with a plain 1-D latent, trained by masking, and the SiT generator on it.
//!
//! One engine for the browser (WebGPU or SIMD), the command line and other programs. Start at [`pipeline::Pipeline`].
//! *What is the model?* [`tokenizer`], [`diffusion`]. *How is it sampled?* [`sampler`]. *Where do weights come from?*
//! [`checkpoint`]. *On what does it run?* [`device`]. *How is it trained?* [`train`]. *What tells how alike two pictures
//! look?* [`features`]. *How good is it?* [`measure`], by the measures of [`eval`].
//!
//! # Shapes
//! `B` batch, `H W` pixels, `N` image patches, `L` latent tokens, `C` latent channels, `D` width, `A` heads, `K` classes,
//! `T` all tokens of a transformer.
//!
//! Source: Chen et al. 2025, *Masked Autoencoders Are Effective Tokenizers for Diffusion Models*, arXiv 2502.03444.

// A library speaks through its results and events; what is printed is the front's choice.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod checkpoint;
pub mod device;
pub mod diffusion;
pub mod error;
pub mod eval;
pub mod export;
#[cfg(feature = "train")]
pub mod features;
pub mod image;
pub mod kernels;
#[cfg(feature = "train")]
pub mod measure;
pub mod mix;
pub mod nn;
pub mod pipeline;
#[cfg(feature = "remote")]
pub mod remote;
pub mod rng;
pub mod sampler;
pub mod tokenizer;
#[cfg(feature = "train")]
pub mod train;

pub use burn::tensor::Device;
pub use error::{Error, Result};
