//! How good a reconstruction is: PSNR and SSIM of pictures, and what a linear method reaches with as many numbers.

mod metrics;
pub mod pca;

pub use metrics::{psnr, psnr_of_mse, ssim};
pub use pca::Pca;
