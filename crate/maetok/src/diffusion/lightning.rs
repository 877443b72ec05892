//! LightningDiT over a 1-D latent: the paper's other generator.
//!
//! A SiT with the parts of recent language models: rotary positions, RMSNorm, SwiGLU, norms on queries and keys. Like
//! SiT it predicts the velocity, so samplers and guidance are the same; it is trained with log-normal times and an
//! extra loss on the velocity's direction.
//!
//! Source: Yao and Wang 2025, arXiv 2501.01423 (LightningDiT); Chen et al. 2025, arXiv 2502.03444 (on MAETok's latents,
//! with 1-D rotary positions); specification 4.6. Field names are the keys of LightningDiT's published checkpoints.
//!
//! Differs: MAETok's authors published neither code nor weights of theirs, so nothing can be compared with numbers. As
//! in SiT, tokens are embedded by a linear layer, label dropout and guidance are the caller's. The published
//! checkpoints on 2-D latents have no norms on queries and keys; [`qk_norm`](LightningConfig::qk_norm) turns them off.

use std::ops::ControlFlow;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::embed::{LabelEmbedder, TimestepEmbedder};
use super::modulations::{Modulations, Rows};
use super::sit::check_sizes;
use crate::kernels::{self, HeadNorm, Residual};
use crate::nn::attention::{attend, scores, split_heads};
use crate::nn::linear::{added, exact_added};
use crate::nn::pos_embed::sinusoid_1d;
use crate::nn::rope::rotate;
use crate::nn::{RmsNorm, SwiGlu, exact, linear, linear_xavier, linear_zero, rope_1d};
use crate::tokenizer::VitSize;
use crate::{Error, Result};

const EPS: f64 = 1e-6;
/// Wavelengths of the rotary positions run up to `2 pi` times this many tokens.
const THETA: f64 = 10_000.0;

/// Sizes of a [`LightningDit`]; serialises as flat fields like SiT's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LightningConfig {
    /// Number of latent tokens, `L`.
    #[serde(rename = "input_size")]
    pub tokens: usize,
    /// Channels of a latent token, `C`.
    #[serde(rename = "in_channels")]
    pub channels: usize,
    /// `D`
    #[serde(rename = "hidden_size")]
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// `A`; the head size `D / A` must be even.
    #[serde(rename = "num_heads")]
    pub heads: usize,
    /// Hidden width over `D` of the plain MLP that the SwiGLU has as many weights as.
    pub mlp_ratio: f64,
    /// `K`; index `K` is the null class.
    #[serde(rename = "num_classes")]
    pub classes: usize,
    /// Probability that a label is replaced by the null class in training.
    pub class_dropout_prob: f64,
    /// RMSNorm on queries and keys.
    #[serde(rename = "use_qknorm")]
    pub qk_norm: bool,
}

impl LightningConfig {
    /// LightningDiT-XL/1 over 128 tokens of 32 channels, 1000 classes: the paper's sizes (specification 4.6).
    pub fn xl() -> Self {
        Self {
            tokens: 128,
            channels: 32,
            width: 1152,
            depth: 28,
            heads: 16,
            mlp_ratio: 4.0,
            classes: 1000,
            class_dropout_prob: 0.1,
            qk_norm: true,
        }
    }

    /// As small as [`SitConfig::toon`](super::SitConfig::toon), on the same latents.
    pub fn toon(classes: usize) -> Self {
        Self { tokens: 32, channels: 16, width: 192, depth: 6, heads: 4, classes, ..Self::xl() }
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that does not.
    pub fn validate(&self) -> Result<()> {
        VitSize { width: self.width, depth: self.depth, heads: self.heads }.check()?;
        if !self.width.is_multiple_of(2 * self.heads) {
            return Err(Error::config("num_heads", self.heads, "a number whose double divides hidden_size"));
        }
        check_sizes(self.tokens, self.channels, self.classes, self.mlp_ratio, self.class_dropout_prob)?;
        if self.hidden() == 0 {
            return Err(Error::config("mlp_ratio", self.mlp_ratio, "large enough for one hidden value"));
        }
        Ok(())
    }

    /// Hidden width of the SwiGLU: two thirds of the plain MLP's, 3072 in the XL.
    fn hidden(&self) -> usize {
        (2.0 / 3.0 * (self.width as f64 * self.mlp_ratio).floor()) as usize
    }

    /// Builds a generator with fresh weights: Xavier-uniform linears, adaLN and the last layer zero.
    ///
    /// # Errors
    /// [`Error::Config`] if the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<LightningDit> {
        self.validate()?;
        let positions = sinusoid_1d(self.tokens, self.width, device).unsqueeze();
        Ok(LightningDit {
            pos_embed: Param::from_tensor(positions).set_require_grad(false),
            x_embedder: linear_xavier(self.channels, self.width, device),
            t_embedder: TimestepEmbedder::new(self.width, device),
            y_embedder: LabelEmbedder::new(self.classes, self.width, device),
            blocks: (0..self.depth).map(|_| Block::new(self, device)).collect(),
            final_layer: FinalLayer {
                norm_final: RmsNorm::new(self.width, EPS, device),
                ada_ln_modulation: linear_zero(self.width, 2 * self.width, device),
                linear: linear_zero(self.width, self.channels, device),
            },
        })
    }
}

/// See the module text. Made by [`LightningConfig::init`].
#[derive(Module, Debug)]
pub struct LightningDit {
    /// Fixed sinusoid, `[1, L, D]`; the rotary positions come on top.
    pos_embed: Param<Tensor<3>>,
    /// `C -> D`
    x_embedder: Linear,
    t_embedder: TimestepEmbedder,
    y_embedder: LabelEmbedder,
    blocks: Vec<Block>,
    final_layer: FinalLayer,
}

/// Cosines and sines, `[1, L, d/2]` each.
type Rotary = (Tensor<3>, Tensor<3>);

#[derive(Module, Debug)]
struct Attention {
    /// `D -> 3D`, in the order q, k, v.
    qkv: Linear,
    /// On queries, over the head size.
    q_norm: Option<RmsNorm>,
    /// On keys, over the head size.
    k_norm: Option<RmsNorm>,
    /// `D -> D`
    proj: Linear,
    heads: usize,
}

impl Attention {
    fn new(config: &LightningConfig, device: &Device) -> Self {
        let (width, heads) = (config.width, config.heads);
        let norm = || config.qk_norm.then(|| RmsNorm::new(width / heads, EPS, device));
        Self {
            qkv: linear_xavier(width, 3 * width, device),
            q_norm: norm(),
            k_norm: norm(),
            proj: linear_xavier(width, width, device),
            heads,
        }
    }

    /// Scores `[B, A, L, L]` before the softmax, and values `[B, A, L, d]`, of `qkv` `[B, L, 3D]`.
    fn scores(&self, qkv: Tensor<3>, rotary: &Rotary) -> (Tensor<4>, Tensor<4>) {
        let [q, k, v] = split_heads(qkv, self.heads);
        let place = |norm: &Option<RmsNorm>, x: Tensor<4>| {
            let x = match norm {
                Some(norm) => norm.forward(x),
                None => x,
            };
            rotate(x, rotary, 0)
        };
        (scores(place(&self.q_norm, q), place(&self.k_norm, k)), v)
    }

    /// What the last layer reads: values mixed by the attention, `[B, L, D] -> [B, L, D]`.
    fn mixed(&self, x: Tensor<3>, rotary: &Rotary) -> Tensor<3> {
        let qkv = linear(&self.qkv, x); // [B, L, 3D]
        let mixed = match (&self.q_norm, &self.k_norm) {
            (Some(q), Some(k)) => {
                let weights = [q.weight.val(), k.weight.val()];
                kernels::attention(qkv, self.heads, HeadNorm::Rms(weights.each_ref(), q.eps()), Some((rotary, 0)))
            }
            _ => kernels::attention(qkv, self.heads, HeadNorm::None, Some((rotary, 0))),
        };
        match mixed {
            ControlFlow::Break(mixed) => mixed,
            ControlFlow::Continue(qkv) => {
                let (scores, v) = self.scores(qkv, rotary);
                attend(scores, v)
            }
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    norm1: RmsNorm,
    attn: Attention,
    norm2: RmsNorm,
    mlp: SwiGlu,
    /// `D -> 6D`: shift, scale and gate of the attention, then of the MLP.
    ada_ln_modulation: Linear,
}

impl Block {
    fn new(config: &LightningConfig, device: &Device) -> Self {
        let width = config.width;
        Self {
            norm1: RmsNorm::new(width, EPS, device),
            attn: Attention::new(config, device),
            norm2: RmsNorm::new(width, EPS, device),
            mlp: SwiGlu::new(width, config.hidden(), device),
            ada_ln_modulation: linear_zero(width, 6 * width, device),
        }
    }

    /// `h`: `[B, L, D]`.
    fn forward(&self, h: Tensor<3>, rows: Rows<'_>, rotary: &Rotary) -> Tensor<3> {
        let [_, _, width] = h.dims();
        let u = self.norm1.modulated(h.clone(), rows.shift_and_scale(0, width)); // [B, L, D]
        let mixed = self.attn.mixed(u, rotary);
        let h = added(&self.attn.proj, mixed, Residual::Gated(&h, rows.gate(2, width)));
        let u = self.norm2.modulated(h.clone(), rows.shift_and_scale(3, width));
        self.mlp.added(u, Residual::Gated(&h, rows.gate(5, width)))
    }
}

#[derive(Module, Debug)]
struct FinalLayer {
    norm_final: RmsNorm,
    /// `D -> 2D`: shift, scale.
    ada_ln_modulation: Linear,
    /// `D -> C`
    linear: Linear,
}

impl LightningDit {
    /// Predicts the velocity.
    ///
    /// # Shapes
    /// - `x`: `[B, L, C]`, normalised latents
    /// - `t`: `[B]` in `[0, 1]`, 1 is noise
    /// - `y`: `[B]` in `0..=K`, `K` the null class
    /// - returns `[B, L, C]`
    pub fn forward(&self, x: Tensor<3>, t: Tensor<1>, y: Tensor<1, Int>) -> Tensor<3> {
        let [batch, ..] = x.dims();
        assert_shape!(t, [batch]);
        self.forward_modulated(x, &self.modulations(t, y), 0)
    }

    /// What the blocks are told at times `t` `[R]` of classes `y` `[R]`.
    pub fn modulations(&self, t: Tensor<1>, y: Tensor<1, Int>) -> Modulations {
        self.modulations_of(t, self.embed_classes(y))
    }

    /// Embeddings of classes `y` `[R]`, `K` the null class: `[R, D]`.
    pub fn embed_classes(&self, y: Tensor<1, Int>) -> Tensor<2> {
        self.y_embedder.forward(y)
    }

    /// [`modulations`](Self::modulations) of embeddings `[R, D]`, which need not be those of one class.
    pub fn modulations_of(&self, t: Tensor<1>, classes: Tensor<2>) -> Modulations {
        let [rows] = t.dims();
        let [_, width] = classes.dims();
        assert_shape!(classes, [rows, width]);
        let time = self.t_embedder.forward(t, &mut ()); // [R, D]
        self.modulations_told(silu(time + classes))
    }

    fn modulations_told(&self, condition: Tensor<2>) -> Modulations {
        let blocks = self.blocks.iter().map(|block| &block.ada_ln_modulation);
        Modulations::new(blocks, &self.final_layer.ada_ln_modulation, condition)
    }

    /// [`forward`](Self::forward) of `x` `[B, L, C]`, whose modulations stand from `row` on.
    pub fn forward_modulated(&self, x: Tensor<3>, modulations: &Modulations, row: usize) -> Tensor<3> {
        let [_, tokens, _] = x.dims();
        let positions = self.pos_embed.val();
        let [_, _, width] = positions.dims();
        assert_shape!(positions, [1, tokens, width]);

        let h = exact_added(&self.x_embedder, x, &positions); // [B, L, D]
        let h = self.run_blocks(h, modulations, row); // [B, L, D]
        let last = modulations.last(row).shift_and_scale(0, width);
        exact(&self.final_layer.linear, self.final_layer.norm_final.modulated(h, last))
    }

    /// `h`: `[B, L, D]`.
    fn run_blocks(&self, h: Tensor<3>, modulations: &Modulations, row: usize) -> Tensor<3> {
        let [_, tokens, width] = h.dims();
        let Some(first) = self.blocks.first() else { return h };
        let rotary = rope_1d::table(tokens, width / first.attn.heads, THETA, &h.device());
        let blocks = self.blocks.iter().enumerate();
        blocks.fold(h, |h, (i, block)| block.forward(h, modulations.block(i, row), &rotary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint;
    use crate::diffusion::GeneratorConfig;
    use crate::kernels::Route;
    use burn::tensor::{Distribution, s};
    use maetok_tests::{Tolerance, Values as _, assert_close, devices};

    fn tiny() -> LightningConfig {
        LightningConfig { tokens: 5, channels: 3, width: 16, depth: 2, heads: 2, classes: 4, ..LightningConfig::xl() }
    }

    fn inputs(device: &Device) -> (Tensor<3>, Tensor<1>, Tensor<1, Int>) {
        let x = Tensor::random([3, 5, 3], Distribution::Normal(0.0, 1.0), device);
        (x, Tensor::from_floats([0.1, 0.5, 1.0], device), Tensor::from_ints([0, 4, 2], device))
    }

    fn largest<const D: usize>(x: Tensor<D>) -> f32 {
        x.abs().max().into_scalar::<f32>()
    }

    #[test]
    fn fresh_blocks_are_the_identity_and_the_fresh_model_predicts_zero() {
        for on in devices() {
            let dit = tiny().init(&on.device).unwrap();
            let h = Tensor::<3>::random([3, 5, 16], Distribution::Normal(0.0, 1.0), &on.device);
            let condition = Tensor::<2>::random([3, 16], Distribution::Normal(0.0, 1.0), &on.device);
            assert_eq!(
                largest(dit.run_blocks(h.clone(), &dit.modulations_told(condition), 0) - h),
                0.0,
                "on {}",
                on.label
            );
            let (x, t, y) = inputs(&on.device);
            assert_eq!(largest(dit.forward(x, t, y)), 0.0, "on {}", on.label);
        }
    }

    /// A model whose zero layers are random, so that everything takes part.
    fn shaken(config: &LightningConfig, device: &Device) -> LightningDit {
        let mut dit = config.init(device).unwrap();
        let width = config.width;
        dit.final_layer.linear = linear_xavier(width, config.channels, device);
        dit.final_layer.ada_ln_modulation = linear_xavier(width, 2 * width, device);
        for block in &mut dit.blocks {
            block.ada_ln_modulation = linear_xavier(width, 6 * width, device);
        }
        dit
    }

    #[test]
    fn a_batch_of_one_equals_its_row_in_a_larger_batch() {
        let device = Device::flex();
        let dit = shaken(&tiny(), &device);
        let (x, t, y) = inputs(&device);
        let all = dit.forward(x.clone(), t.clone(), y.clone());
        let one = dit.forward(x.slice(s![1..2, .., ..]), t.slice(s![1..2]), y.slice(s![1..2]));
        let difference = largest(all.clone().slice(s![1..2, .., ..]) - one);
        assert!(difference < 1e-5, "{difference}");
        assert!(largest(all) > 0.1, "the model says something");
    }

    #[test]
    fn kernels_and_plain_ops_give_the_same_velocity() {
        let config = LightningConfig { channels: 4, width: 32, ..tiny() };
        let there = shaken(&config, &Device::flex());
        let x = Tensor::<3>::random([3, 5, 4], Distribution::Normal(0.0, 1.0), &Device::flex());
        let (_, t, y) = inputs(&Device::flex());
        let want = there.forward(x.clone(), t.clone(), y.clone()).values().1;
        for on in devices() {
            let here = there.clone().fork(&on.device);
            let moved =
                || (x.clone().to_device(&on.device), t.clone().to_device(&on.device), y.clone().to_device(&on.device));
            for route in [Route::Plain, Route::Registers, Route::Tiles] {
                let (x, t, y) = moved();
                let got = kernels::within(route, || here.forward(x, t, y));
                let (name, got) = (format!("velocity by {route:?}"), got.values().1);
                assert_close("a small LightningDiT", &name, &on.label, &got, &want, Tolerance::SINGLE_MODULE);
            }
        }
    }

    #[test]
    fn modulations_of_many_moments_serve_each_of_them() {
        let device = Device::flex();
        let dit = shaken(&tiny(), &device);
        let (x, t, y) = inputs(&device);
        let all = dit.modulations(t.clone(), y.clone());
        for i in 0..3 {
            let one = x.clone().slice(s![i..i + 1, .., ..]);
            let want = dit.forward(one.clone(), t.clone().slice(s![i..i + 1]), y.clone().slice(s![i..i + 1]));
            assert!(largest(dit.forward_modulated(one, &all, i) - want) < 1e-5, "moment {i}");
        }
    }

    #[test]
    fn norms_on_queries_and_keys_bound_the_scores() {
        let device = Device::flex();
        let config = LightningConfig { width: 32, ..tiny() };
        let rotary = rope_1d::table(5, 16, THETA, &device);
        let x = Tensor::<3>::random([2, 5, 32], Distribution::Normal(0.0, 1.0), &device) * 1e3;
        let worst = |qk_norm: bool| {
            let attention = Attention::new(&LightningConfig { qk_norm, ..config.clone() }, &device);
            largest(attention.scores(linear(&attention.qkv, x.clone()), &rotary).0)
        };
        // Rows of RMS 1 have length sqrt(d): their products over sqrt(d) are at most sqrt(d), turned or not.
        let (bounded, free) = (worst(true), worst(false));
        assert!(bounded <= 4.0 + 1e-4 && bounded > 0.5, "{bounded}");
        assert!(free > 1e4, "{free}");
    }

    /// With the loss it is trained with: the velocity's error and its direction.
    #[cfg(feature = "train")]
    #[test]
    fn one_batch_of_random_latents_is_learnt_by_heart() {
        use crate::diffusion::PathType;
        use crate::train::losses::velocity;
        use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};

        let device = Device::flex().autodiff();
        device.seed(3);
        let config = LightningConfig { tokens: 4, channels: 4, width: 32, classes: 8, ..tiny() };
        let mut dit = config.init(&device).unwrap();
        let normal = || Tensor::<3>::random([8, 4, 4], Distribution::Normal(0.0, 1.0), &device);
        let (clean, noise) = (normal(), normal());
        let times: Vec<f64> = (0..8).map(|i| (f64::from(i) + 0.5) / 8.0).collect();
        let mut optimiser = ModuleOptimizer::from(AdamConfig::new().build());
        let mut history = Vec::new();
        for _ in 0..300 {
            let ask = |x, t, y| dit.forward(x, t, y);
            let labels = Tensor::<1, Int>::arange(0..8, &device);
            let losses = velocity(ask, PathType::Linear, clean.clone(), noise.clone(), &times, labels);
            let (velocity, direction) = (losses.velocity.mean(), losses.direction.mean());
            history.push((velocity.clone().into_scalar::<f32>(), direction.clone().into_scalar::<f32>()));
            let grads = GradientsParams::from_grads((velocity + direction).backward(), &dit);
            dit = optimiser.step(3e-3, dit, grads);
        }
        let ((first, _), (velocity, direction)) = (history[0], history[history.len() - 1]);
        // Two unit normals: a variance of 2 and, at first, no direction at all.
        assert!((1.2..3.0).contains(&first) && (history[0].1 - 1.0).abs() < 1e-3, "{:?}", history[0]);
        assert!(velocity < 0.02 && direction < 0.02, "{velocity} and {direction}");
    }

    #[test]
    fn xl_has_the_papers_sizes() {
        let xl = LightningConfig::xl();
        assert_eq!((xl.width, xl.depth, xl.heads, xl.hidden()), (1152, 28, 16, 3072));
        // Shapes are known without drawing the weights.
        let dit = LightningConfig { depth: 1, ..xl.clone() }.init(&Device::flex()).unwrap();
        let block: usize = checkpoint::shapes(&dit)
            .iter()
            .filter(|(key, _)| key.starts_with("blocks.0."))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        let rest: usize =
            checkpoint::shapes(&dit).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>() - block;
        let total = rest + xl.depth * block;
        assert!((673_000_000..677_000_000).contains(&total), "{total}");
    }

    #[test]
    fn keys_are_those_of_the_published_checkpoints() {
        let shapes = checkpoint::shapes(&tiny().init(&Device::flex()).unwrap());
        for (key, shape) in [
            ("blocks.1.attn.q_norm.weight", vec![8]),
            ("blocks.0.norm2.weight", vec![16]),
            ("blocks.0.mlp.w12.weight", vec![84, 16]),
            ("blocks.0.mlp.w3.weight", vec![16, 42]),
            ("blocks.0.adaLN_modulation.1.bias", vec![96]),
            ("final_layer.norm_final.weight", vec![16]),
            ("y_embedder.embedding_table.weight", vec![5, 16]),
        ] {
            assert!(shapes.contains(&(key.to_owned(), shape.clone())), "{key} {shape:?} in {shapes:?}");
        }
    }

    #[test]
    fn odd_heads_are_refused() {
        let error = LightningConfig { width: 15, heads: 3, ..tiny() }.init(&Device::flex()).unwrap_err();
        assert!(matches!(error, Error::Config { field: "num_heads", .. }), "{error}");
        let config = LightningConfig { mlp_ratio: f64::NAN, ..tiny() };
        assert!(matches!(config.validate().unwrap_err(), Error::Config { field: "mlp_ratio", .. }));
    }

    #[test]
    fn json_survives_a_round_trip() {
        let config = GeneratorConfig::Lightning(LightningConfig { qk_norm: false, ..LightningConfig::toon(7) });
        assert_eq!(GeneratorConfig::from_json(config.to_json().as_bytes()).unwrap(), config);
    }
}
