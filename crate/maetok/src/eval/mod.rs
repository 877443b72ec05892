//! How good a model is. Of reconstructions: PSNR and SSIM, and what a linear method reaches with as many numbers. Of
//! samples, by features of some network: Fréchet distance, precision and recall, nearest neighbours. Of latents: what a
//! linear probe reads off them, and how many Gaussians they take.

mod distance;
#[cfg(feature = "train")]
pub mod frechet;
#[cfg(feature = "train")]
pub mod gmm;
#[cfg(feature = "train")]
pub mod linear_probe;
pub mod manifold;
mod metrics;
pub mod neighbours;
pub mod pca;
#[cfg(feature = "train")]
mod product;
#[cfg(feature = "train")]
mod standardise;

#[cfg(feature = "train")]
pub use frechet::{FrechetReference, Moments, frechet_distance};
#[cfg(feature = "train")]
pub use linear_probe::{Labelled, LinearProbe, ProbeTraining};
pub use manifold::{PrecisionRecall, precision_recall};
pub use metrics::{psnr, psnr_of_mse, ssim};
pub use neighbours::Neighbour;
pub use pca::Pca;
