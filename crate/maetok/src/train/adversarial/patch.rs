//! A discriminator for small pictures that needs no other network: a few strided convolutions, each with spectral norm,
//! and a logit for every piece of the picture.
//!
//! The DINO trunk sees 224 px whatever it is given, 6 G multiply-adds a picture; this takes 0.4 G for 128 px and 0.1 G for
//! 64 px, and looks at no enlarged pixels. Three convolutions that halve the picture and two that keep its size see 54 px
//! around each logit. No normalisation over the batch: the opinion on a picture depends on that picture alone, so a batch
//! may be cut into parts.
//!
//! Source: Isola et al. 2017, arXiv 1611.07004 (PatchGAN), with spectral norm and hinge loss as in SN-PatchGAN, Yu et
//! al. 2019, arXiv 1806.03589, section 3.3. MAETok has nothing of the kind.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};

use super::Mode;
use super::heads::SLOPE;
use super::spectral::SpectralConv;

/// Kernel of the convolutions that halve the picture: twice their stride, so that every pixel counts equally often.
const HALVING: usize = 4;
/// Kernel of those that do not.
const KEEPING: usize = 3;

/// Sizes of a [`PatchDiscriminator`].
#[derive(Config, Debug)]
pub struct PatchConfig {
    /// Channels after each halving of the picture.
    #[config(default = "vec![64, 128, 256]")]
    pub widths: Vec<usize>,
}

impl PatchConfig {
    /// Fresh weights.
    ///
    /// # Panics
    /// If there are no widths.
    pub fn init(&self, device: &Device) -> PatchDiscriminator {
        let last = *self.widths.last().expect("at least one convolution that halves the picture");
        let inputs = std::iter::once(3).chain(self.widths.iter().copied());
        let mut layers: Vec<_> = inputs
            .zip(&self.widths)
            .map(|(input, output)| SpectralConv::plane(input, *output, HALVING, 2, device))
            .collect();
        layers.push(SpectralConv::plane(last, last, KEEPING, 1, device));
        layers.push(SpectralConv::plane(last, 1, KEEPING, 1, device));
        PatchDiscriminator { layers }
    }
}

/// See the module text. Made by [`PatchConfig::init`].
#[derive(Module, Debug)]
pub struct PatchDiscriminator {
    layers: Vec<SpectralConv<4>>,
}

impl PatchDiscriminator {
    /// `[B, 3, H, W]` in [-1, 1] to logits `[B, M]`, `M = H/8 · W/8` with three halvings, row by row.
    pub fn forward(&mut self, picture: Tensor<4>, mode: Mode) -> Tensor<2> {
        let mut x = picture;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            // The activation stands between the layers, not after the last.
            if index > 0 {
                x = leaky_relu(x, SLOPE);
            }
            x = layer.forward(x, mode);
        }
        x.flatten(1, 3)
    }
}
