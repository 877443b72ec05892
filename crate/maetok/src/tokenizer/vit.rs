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
use burn::tensor::{Device, Tensor};

use super::config::VitSize;
use crate::kernels::{Gate, Modulation, Residual};
use crate::nn::attention::Rotary;
use crate::nn::drop_path::Branch;
use crate::nn::linear::added;
use crate::nn::{
    Attention, AttentionConfig, DropPath, Gelu, LayerNorm, LayerScale, Mlp, MlpConfig, Probe, RopeTable, exact, linear,
    linear_zero, modulate, normalize, normalize_modulated,
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
        let table = self.ada_ln_modulation.as_ref().zip(pass.condition).map(|(layer, condition)| {
            let rows = exact(layer, condition.clone()); // [B, L, 4D]
            probe.see("adaLN", &rows);
            rows
        });
        let close = |end: BranchEnd<'_>, inner, x, probe: &mut _| end.close(inner, x, (index, pass.drop_path), probe);

        let u = norm(&self.norm1, x.clone(), table.as_ref(), 0, Some("norm1"), probe);
        let inner = self.attn.mixed(u, rotary.as_ref(), probe);
        let end = BranchEnd {
            branch: Branch::Attention,
            last: &self.attn.proj,
            scale: self.ls1.as_ref(),
            names: ["attn", "ls1"].map(Some),
        };
        let x = close(end, inner, x, probe); // [B, T, D]

        let u = norm(&self.norm2, x.clone(), table.as_ref(), 2 * width, None, probe);
        let inner = self.mlp.hidden(u);
        let end = BranchEnd {
            branch: Branch::Mlp,
            last: &self.mlp.fc2,
            scale: self.ls2.as_ref(),
            names: [Some("mlp"), None],
        };
        let x = close(end, inner, x, probe); // [B, T, D]
        probe.see("out", &x);
        x
    }
}

/// What closes a branch: its last layer, its LayerScale, and the way back to the tokens.
struct BranchEnd<'a> {
    branch: Branch,
    last: &'a Linear,
    scale: Option<&'a LayerScale>,
    /// Stages after the layer and after the scale.
    names: [Option<&'static str>; 2],
}

impl BranchEnd<'_> {
    /// `x + scale * last(inner)`, in one step where nobody looks and nothing is dropped: `[B, T, D]`.
    fn close<P: Probe>(
        self,
        inner: Tensor<3>,
        x: Tensor<3>,
        (index, drop_path): (usize, Option<&DropPath>),
        probe: &mut P,
    ) -> Tensor<3> {
        if !P::ACTIVE && drop_path.is_none() {
            let gamma = self.scale.map(|scale| scale.gamma.val());
            return added(
                self.last,
                inner,
                match &gamma {
                    Some(gamma) => Residual::Gated(&x, Gate::Channels(gamma)),
                    None => Residual::Added(&x),
                },
            );
        }
        let mut see = |name: Option<&'static str>, tensor: &Tensor<3>| {
            if let Some(name) = name {
                probe.see(name, tensor);
            }
        };
        let branch = linear(self.last, inner);
        see(self.names[0], &branch);
        let branch = match self.scale {
            Some(scale) => scale.forward(branch),
            None => branch,
        };
        see(self.names[1], &branch);
        x + match drop_path {
            Some(drop_path) => drop_path.apply(index, self.branch, branch),
            None => branch,
        }
    }
}

/// The affine norm, or the one without parameters, modulated from column `at` of the table of latents on.
fn norm<P: Probe>(
    affine: &Option<LayerNorm>,
    x: Tensor<3>,
    table: Option<&Tensor<3>>,
    at: usize,
    name: Option<&'static str>,
    probe: &mut P,
) -> Tensor<3> {
    let modulation = table.map_or(Modulation::None, |table| Modulation::Latents { table, at });
    match affine {
        None if !P::ACTIVE => normalize_modulated(x, EPS, modulation),
        affine => {
            let u = match affine {
                Some(affine) => affine.forward(x),
                None => normalize(x, EPS),
            };
            if let Some(name) = name {
                probe.see(name, &u);
            }
            modulate(u, modulation)
        }
    }
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
        match self.ada_ln_modulation.as_ref().zip(condition) {
            Some((layer, condition)) => {
                let table = exact(layer, condition.clone()); // [B, L, 2D]
                normalize_modulated(x, EPS, Modulation::Latents { table: &table, at: 0 })
            }
            None => self.forward_image(x),
        }
    }

    /// Image tokens only, which no modulation touches.
    pub fn forward_image(&self, x: Tensor<3>) -> Tensor<3> {
        match (&self.weight, &self.bias) {
            (Some(weight), Some(bias)) => {
                let (weight, bias) = (weight.val(), bias.val());
                normalize_modulated(x, EPS, Modulation::Affine { weight: &weight, bias: &bias })
            }
            _ => normalize(x, EPS),
        }
    }
}

/// `silu(z)`, the signal that every modulation of the decoder reads.
pub(super) fn condition(z: Tensor<3>) -> Tensor<3> {
    silu(z)
}
