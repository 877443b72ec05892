//! The transformer inside encoder and decoder: a plain ViT, or one whose latent tokens are modulated ("MoVQ").
//!
//! A plain block has affine norms and LayerScale. A MoVQ block has neither: its norms are without parameters, and the
//! rows of the latent tokens are then scaled and shifted by a linear function of the latents themselves. The frozen
//! teachers of the training are made of plain blocks too.
//!
//! Field names are the checkpoint's keys.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor, s};

use super::config::VitSize;
use crate::nn::attention::Rotary;
use crate::nn::drop_path::Branch;
use crate::nn::{
    Attention, AttentionConfig, DropPath, Gelu, LayerNorm, LayerScale, Mlp, MlpConfig, Probe, RopeTable, linear_zero,
    normalize,
};

/// Epsilon of every layer norm in the ViTs.
const EPS: f64 = 1e-6;

/// What stays the same from block to block of one forward pass.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pass<'a> {
    /// `silu(z)`, `[B, L, C]`, for modulated blocks.
    pub condition: Option<&'a Tensor<3>>,
    /// Rotary positions of the image tokens.
    pub rope: Option<&'a RopeTable>,
    /// Row of the first image token.
    pub first: usize,
    /// Branches that this training forward leaves out.
    pub drop_path: Option<&'a DropPath>,
}

/// One transformer block. Exactly one of (`norm1`, `norm2`) and `ada_ln_modulation` is there; `ls1` and `ls2` go with
/// the norms, except in SigLIP, which has no LayerScale.
#[derive(Module, Debug)]
pub struct Block {
    norm1: Option<LayerNorm>,
    pub(super) attn: Attention,
    pub(super) ls1: Option<LayerScale>,
    norm2: Option<LayerNorm>,
    pub(super) mlp: Mlp,
    pub(super) ls2: Option<LayerScale>,
    /// `C -> 4D`: shift and scale before attention, shift and scale before the MLP.
    pub(super) ada_ln_modulation: Option<Linear>,
}

impl Block {
    /// A plain block with an MLP of `hidden` values; LayerScale, if there is one, starts at `layer_scale`.
    pub fn plain(size: VitSize, hidden: usize, layer_scale: Option<f64>, device: &Device) -> Self {
        let norm = || Some(LayerNorm::new(size.width, EPS, device));
        let scale = || layer_scale.map(|value| LayerScale::new(size.width, value, device));
        let bare = Self::bare(size, hidden, device);
        Self { norm1: norm(), ls1: scale(), norm2: norm(), ls2: scale(), ..bare }
    }

    /// A block modulated by latents of `channels` channels.
    pub fn movq(size: VitSize, channels: usize, device: &Device) -> Self {
        let modulation = linear_zero(channels, 4 * size.width, device);
        Self { ada_ln_modulation: Some(modulation), ..Self::bare(size, 4 * size.width, device) }
    }

    /// Attention and MLP alone.
    fn bare(size: VitSize, hidden: usize, device: &Device) -> Self {
        let VitSize { width, heads, .. } = size;
        Self {
            norm1: None,
            attn: AttentionConfig::new(width, heads).init(device),
            ls1: None,
            norm2: None,
            mlp: MlpConfig::new(width, hidden, Gelu::Exact).init(device),
            ls2: None,
            ada_ln_modulation: None,
        }
    }

    /// `[B, T, D] -> [B, T, D]`, as block number `index`.
    fn forward(&self, x: Tensor<3>, index: usize, pass: &Pass<'_>, probe: &mut impl Probe) -> Tensor<3> {
        let [_, _, width] = x.dims();
        let rotary = pass.rope.map(|rope| Rotary { table: rope.block(index), first: pass.first });
        let kept = |branch: Branch, x: Tensor<3>| match pass.drop_path {
            Some(drop_path) => drop_path.apply(index, branch, x),
            None => x,
        };
        let modulation = self.ada_ln_modulation.as_ref().zip(pass.condition).map(|(linear, condition)| {
            let rows = linear.forward(condition.clone()); // [B, L, 4D]
            probe.see("adaLN", &rows);
            rows
        });
        let part = |i: usize| modulation.as_ref().map(|m| m.clone().slice(s![.., .., i * width..(i + 2) * width]));

        let u = norm(&self.norm1, x.clone());
        probe.see("norm1", &u);
        let branch = self.attn.forward(modulate(u, part(0)), rotary.as_ref(), probe);
        probe.see("attn", &branch);
        let branch = scale(&self.ls1, branch);
        probe.see("ls1", &branch);
        let x = x + kept(Branch::Attention, branch); // [B, T, D]

        let u = norm(&self.norm2, x.clone());
        let branch = self.mlp.forward(modulate(u, part(2)));
        probe.see("mlp", &branch);
        let x = x + kept(Branch::Mlp, scale(&self.ls2, branch)); // [B, T, D]
        probe.see("out", &x);
        x
    }
}

fn scale(layer_scale: &Option<LayerScale>, x: Tensor<3>) -> Tensor<3> {
    match layer_scale {
        Some(layer_scale) => layer_scale.forward(x),
        None => x,
    }
}

fn norm(affine: &Option<LayerNorm>, x: Tensor<3>) -> Tensor<3> {
    match affine {
        Some(affine) => affine.forward(x),
        None => normalize(x, EPS),
    }
}

fn modulate(x: Tensor<3>, modulation: Option<Tensor<3>>) -> Tensor<3> {
    match modulation {
        Some(modulation) => modulate_latents(x, modulation),
        None => x,
    }
}

/// The last `L` tokens become `u * scale + shift`, without "1 +"; the others pass.
///
/// # Shapes
/// - `x`: `[B, T, D]`
/// - `modulation`: `[B, L, 2D]`, shift then scale
fn modulate_latents(x: Tensor<3>, modulation: Tensor<3>) -> Tensor<3> {
    let [_, tokens, width] = x.dims();
    let [_, latents, _] = modulation.dims();
    let shift = modulation.clone().slice(s![.., .., ..width]);
    let scale = modulation.slice(s![.., .., width..]);
    let others = x.clone().slice(s![.., ..tokens - latents, ..]);
    let modulated = x.slice(s![.., tokens - latents.., ..]) * scale + shift;
    Tensor::cat(vec![others, modulated], 1)
}

/// Runs `blocks` one after the other, `[B, T, D] -> [B, T, D]`.
pub(crate) fn run_blocks(blocks: &[Block], mut x: Tensor<3>, pass: &Pass<'_>, probe: &mut impl Probe) -> Tensor<3> {
    for (i, block) in blocks.iter().enumerate() {
        probe.enter("block", Some(i));
        x = block.forward(x, i, pass, probe);
        probe.exit();
    }
    x
}

/// The norm after the last block: affine, or modulated like a MoVQ block.
#[derive(Module, Debug)]
pub struct FinalNorm {
    weight: Option<Param<Tensor<1>>>,
    bias: Option<Param<Tensor<1>>>,
    /// `C -> 2D`: shift and scale.
    ada_ln_modulation: Option<Linear>,
}

impl FinalNorm {
    /// Affine, for a plain ViT.
    pub fn plain(width: usize, device: &Device) -> Self {
        Self {
            weight: Some(Initializer::Ones.init([width], device)),
            bias: Some(Initializer::Zeros.init([width], device)),
            ada_ln_modulation: None,
        }
    }

    /// Modulated by latents of `channels` channels.
    pub fn movq(width: usize, channels: usize, device: &Device) -> Self {
        Self { weight: None, bias: None, ada_ln_modulation: Some(linear_zero(channels, 2 * width, device)) }
    }

    /// All tokens, latents included, `[B, T, D] -> [B, T, D]`.
    pub fn forward(&self, x: Tensor<3>, condition: Option<&Tensor<3>>) -> Tensor<3> {
        let modulation = self.ada_ln_modulation.as_ref().zip(condition).map(|(l, c)| l.forward(c.clone()));
        match modulation {
            Some(modulation) => modulate_latents(normalize(x, EPS), modulation),
            None => self.forward_image(x),
        }
    }

    /// Image tokens only, which no modulation touches.
    pub fn forward_image(&self, x: Tensor<3>) -> Tensor<3> {
        let x = normalize(x, EPS);
        match (&self.weight, &self.bias) {
            (Some(weight), Some(bias)) => x * weight.val().unsqueeze() + bias.val().unsqueeze(),
            _ => x,
        }
    }
}

/// `silu(z)`, the signal that every modulation of the decoder reads.
pub(super) fn condition(z: Tensor<3>) -> Tensor<3> {
    silu(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modulation_touches_latent_rows_only() {
        let device = Device::flex();
        let x = Tensor::<3>::ones([1, 5, 2], &device);
        let modulation = Tensor::<3>::from_floats([[[10.0, 20.0, 2.0, 3.0], [0.0, 0.0, 1.0, 1.0]]], &device);
        let y: Vec<f32> = modulate_latents(x, modulation).into_data().try_to_vec().unwrap();
        assert_eq!(y, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 12.0, 23.0, 1.0, 1.0]);
    }
}
