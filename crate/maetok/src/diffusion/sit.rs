//! SiT over a 1-D latent: a transformer whose norms are steered by time and class (adaLN-Zero).
//!
//! Source: Ma et al. 2024, arXiv 2401.08740; Peebles & Xie 2022, arXiv 2212.09748 (adaLN-Zero); official `sit.py`,
//! commit `f4d60a0`; specification 4.2. Field names are the checkpoint's keys.
//!
//! Differs from the official code: only the 1-D form (`vae_1d`); label dropout is the caller's, who passes the null
//! class; guidance belongs to [`crate::sampler`].

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::embed::{LabelEmbedder, TimestepEmbedder};
use super::modulations::{Modulations, Rows};
use crate::kernels::{Gate, Residual};
use crate::nn::linear::{added, exact_added};
use crate::nn::pos_embed::sinusoid_1d;
use crate::nn::{
    Attention, AttentionConfig, Gelu, Mlp, MlpConfig, Probe, exact, linear, linear_xavier, linear_zero, normalize,
    normalize_modulated,
};
use crate::tokenizer::{MAX_TOKENS, MAX_WIDTH, VitSize};
use crate::{Error, Result};

const EPS: f64 = 1e-6;
/// Most classes; see the bounds of [`VitSize`].
const MAX_CLASSES: usize = 1 << 20;
/// Widest MLP over the width.
const MAX_MLP_RATIO: f64 = 16.0;

/// The bounds that both generators' configurations share.
pub(super) fn check_sizes(
    tokens: usize,
    channels: usize,
    classes: usize,
    mlp_ratio: f64,
    class_dropout_prob: f64,
) -> Result<()> {
    for (field, value, most) in [
        ("input_size", tokens, MAX_TOKENS),
        ("in_channels", channels, MAX_WIDTH),
        ("num_classes", classes, MAX_CLASSES),
    ] {
        if !(1..=most).contains(&value) {
            return Err(Error::config(field, value, format!("from 1 to {most}")));
        }
    }
    if !(mlp_ratio > 0.0 && mlp_ratio <= MAX_MLP_RATIO) {
        return Err(Error::config("mlp_ratio", mlp_ratio, format!("above 0 and at most {MAX_MLP_RATIO}")));
    }
    if !(0.0..=1.0).contains(&class_dropout_prob) {
        return Err(Error::config("class_dropout_prob", class_dropout_prob, "a probability from 0 to 1"));
    }
    Ok(())
}

/// Sizes of a [`Sit`]; serialises as the official flat `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SitConfig {
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
    /// `A`
    #[serde(rename = "num_heads")]
    pub heads: usize,
    /// Hidden width of the MLP over `D`.
    #[serde(default = "four")]
    pub mlp_ratio: f64,
    /// `K`; index `K` is the null class.
    #[serde(rename = "num_classes")]
    pub classes: usize,
    /// Probability that a label is replaced by the null class in training.
    #[serde(default = "tenth")]
    pub class_dropout_prob: f64,
    /// Layer norm on queries and keys.
    #[serde(default)]
    pub qk_norm: bool,
    /// Always true here: one token per latent, no patches.
    #[serde(default = "yes")]
    pub vae_1d: bool,
}

fn four() -> f64 {
    4.0
}
fn tenth() -> f64 {
    0.1
}
fn yes() -> bool {
    true
}

impl SitConfig {
    /// SiT-XL/1 over 128 tokens of 32 channels, 1000 classes: the released generator (specification 4.1).
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
            qk_norm: false,
            vae_1d: true,
        }
    }

    /// The shipped generator on the latents of
    /// [`TokenizerConfig::toon_128`](crate::tokenizer::TokenizerConfig::toon_128).
    pub fn toon_128(classes: usize) -> Self {
        Self { tokens: 16, width: 256, ..Self::toon(classes) }
    }

    /// For the latents of [`TokenizerConfig::toon_64`](crate::tokenizer::TokenizerConfig::toon_64).
    pub fn toon(classes: usize) -> Self {
        Self { tokens: 32, channels: 16, width: 192, depth: 6, heads: 4, classes, ..Self::xl() }
    }

    /// Reads an official `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] if a field is missing or the sizes do not fit together.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let config: Self = serde_json::from_slice(json)
            .map_err(|e| Error::config("config.json", e, "the flat fields of an official SiT configuration"))?;
        config.validate()?;
        Ok(config)
    }

    /// Writes the flat fields; [`from_json`](Self::from_json) reads them back.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a struct of numbers has a JSON form")
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that does not.
    pub fn validate(&self) -> Result<()> {
        VitSize { width: self.width, depth: self.depth, heads: self.heads }.check()?;
        if !self.vae_1d {
            return Err(Error::config("vae_1d", false, "true: only 1-D latents are implemented"));
        }
        check_sizes(self.tokens, self.channels, self.classes, self.mlp_ratio, self.class_dropout_prob)
    }

    /// Builds a generator with fresh weights: Xavier-uniform linears, adaLN and the last layer zero.
    ///
    /// # Errors
    /// [`Error::Config`] if the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<Sit> {
        self.validate()?;
        let positions = sinusoid_1d(self.tokens, self.width, device).unsqueeze();
        Ok(Sit {
            pos_embed: Param::from_tensor(positions).set_require_grad(false),
            x_embedder: linear_xavier(self.channels, self.width, device),
            t_embedder: TimestepEmbedder::new(self.width, device),
            y_embedder: LabelEmbedder::new(self.classes, self.width, device),
            blocks: (0..self.depth).map(|_| SitBlock::new(self, device)).collect(),
            final_layer: FinalLayer {
                ada_ln_modulation: linear_zero(self.width, 2 * self.width, device),
                linear: linear_zero(self.width, self.channels, device),
            },
        })
    }
}

/// See the module text. Made by [`SitConfig::init`].
#[derive(Module, Debug)]
pub struct Sit {
    /// `[1, L, D]`, a fixed sinusoid kept in the checkpoint.
    pos_embed: Param<Tensor<3>>,
    x_embedder: Linear,
    t_embedder: TimestepEmbedder,
    y_embedder: LabelEmbedder,
    blocks: Vec<SitBlock>,
    final_layer: FinalLayer,
}

#[derive(Module, Debug)]
struct SitBlock {
    attn: Attention,
    mlp: Mlp,
    /// `D -> 6D`: shift, scale and gate of the attention, then of the MLP.
    ada_ln_modulation: Linear,
}

#[derive(Module, Debug)]
struct FinalLayer {
    /// `D -> 2D`: shift, scale.
    ada_ln_modulation: Linear,
    /// `D -> C`
    linear: Linear,
}

impl SitBlock {
    fn new(config: &SitConfig, device: &Device) -> Self {
        let width = config.width;
        let hidden = (width as f64 * config.mlp_ratio) as usize;
        let mut attn = AttentionConfig::new(width, config.heads).with_qk_norm(config.qk_norm).init(device);
        attn.qkv = linear_xavier(width, 3 * width, device);
        attn.proj = linear_xavier(width, width, device);
        let mut mlp = MlpConfig::new(width, hidden, Gelu::Tanh).init(device);
        mlp.fc1 = linear_xavier(width, hidden, device);
        mlp.fc2 = linear_xavier(hidden, width, device);
        Self { attn, mlp, ada_ln_modulation: linear_zero(width, 6 * width, device) }
    }

    /// `h`: `[B, L, D]`.
    fn forward<P: Probe>(&self, h: Tensor<3>, rows: Rows<'_>, probe: &mut P) -> Tensor<3> {
        let [batch, _, width] = h.dims();
        if P::ACTIVE {
            probe.see("adaLN", &rows.of_batch(batch));
            probe.see("norm1", &normalize(h.clone(), EPS));
        }
        let u = normalize_modulated(h.clone(), EPS, rows.shift_and_scale(0, width)); // [B, L, D]
        let mixed = self.attn.mixed(u, None, probe);
        let h = close(&self.attn.proj, mixed, &h, rows.gate(2, width), "attn", probe);
        let u = normalize_modulated(h.clone(), EPS, rows.shift_and_scale(3, width));
        let h = close(&self.mlp.fc2, self.mlp.hidden(u), &h, rows.gate(5, width), "mlp", probe);
        probe.see("out", &h);
        h
    }
}

/// `h + gate * layer(inner)`, `[B, L, D]`.
fn close<P: Probe>(
    layer: &Linear,
    inner: Tensor<3>,
    h: &Tensor<3>,
    gate: Gate<'_>,
    name: &'static str,
    probe: &mut P,
) -> Tensor<3> {
    if P::ACTIVE {
        probe.see(name, &linear(layer, inner.clone()));
    }
    added(layer, inner, Residual::Gated(h, gate))
}

impl Sit {
    /// Predicts the velocity.
    ///
    /// # Shapes
    /// - `x`: `[B, L, C]`, normalised latents
    /// - `t`: `[B]` in `[0, 1]`, 1 is noise
    /// - `y`: `[B]` in `0..=K`, `K` the null class
    /// - returns `[B, L, C]`
    pub fn forward(&self, x: Tensor<3>, t: Tensor<1>, y: Tensor<1, Int>) -> Tensor<3> {
        self.forward_probed(x, t, y, &mut ())
    }

    /// [`forward`](Self::forward), showing its stages to `probe`.
    pub fn forward_probed(&self, x: Tensor<3>, t: Tensor<1>, y: Tensor<1, Int>, probe: &mut impl Probe) -> Tensor<3> {
        let [batch, ..] = x.dims();
        assert_shape!(t, [batch]);
        let modulations = self.modulations_probed(t, y, probe);
        self.velocity(x, &modulations, 0, probe)
    }

    /// What the blocks are told at times `t` `[R]` of classes `y` `[R]`.
    pub fn modulations(&self, t: Tensor<1>, y: Tensor<1, Int>) -> Modulations {
        self.modulations_probed(t, y, &mut ())
    }

    /// Embeddings of classes `y` `[R]`, `K` the null class: `[R, D]`.
    pub fn embed_classes(&self, y: Tensor<1, Int>) -> Tensor<2> {
        self.y_embedder.forward(y)
    }

    /// [`modulations`](Self::modulations) of embeddings `[R, D]`, which need not be those of one class.
    pub fn modulations_of(&self, t: Tensor<1>, classes: Tensor<2>) -> Modulations {
        self.modulations_of_probed(t, classes, &mut ())
    }

    fn modulations_probed(&self, t: Tensor<1>, y: Tensor<1, Int>, probe: &mut impl Probe) -> Modulations {
        self.modulations_of_probed(t, self.embed_classes(y), probe)
    }

    fn modulations_of_probed(&self, t: Tensor<1>, class: Tensor<2>, probe: &mut impl Probe) -> Modulations {
        let [rows] = t.dims();
        let [_, width] = class.dims();
        assert_shape!(class, [rows, width]);
        let time = self.t_embedder.forward(t, probe); // [R, D]
        probe.see("t_emb", &time);
        probe.see("y_emb", &class);
        let blocks = self.blocks.iter().map(|block| &block.ada_ln_modulation);
        Modulations::new(blocks, &self.final_layer.ada_ln_modulation, silu(time + class))
    }

    /// [`forward`](Self::forward) of `x` `[B, L, C]`, whose modulations stand from `row` on.
    pub fn forward_modulated(&self, x: Tensor<3>, modulations: &Modulations, row: usize) -> Tensor<3> {
        self.velocity(x, modulations, row, &mut ())
    }

    fn velocity<P: Probe>(&self, x: Tensor<3>, modulations: &Modulations, row: usize, probe: &mut P) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let positions = self.pos_embed.val();
        let [_, _, width] = positions.dims();
        assert_shape!(positions, [1, tokens, width]);

        if P::ACTIVE {
            probe.see("x_embed", &exact(&self.x_embedder, x.clone()));
        }
        let mut h = exact_added(&self.x_embedder, x, &positions); // [B, L, D]
        probe.see("tokens_in", &h);
        for (i, block) in self.blocks.iter().enumerate() {
            probe.enter("block", Some(i));
            h = block.forward(h, modulations.block(i, row), probe);
            probe.exit();
        }

        let rows = modulations.last(row);
        if P::ACTIVE {
            probe.enter("final", None);
            probe.see("adaLN", &rows.of_batch(batch));
            probe.exit();
        }
        let h = normalize_modulated(h, EPS, rows.shift_and_scale(0, width));
        let v = exact(&self.final_layer.linear, h); // [B, L, C]
        probe.see("out", &v);
        v
    }
}

#[cfg(test)]
impl Sit {
    /// Puts the fixed sinusoid back.
    pub(crate) fn with_fixed_positions(mut self, config: &SitConfig) -> Self {
        let device = self.pos_embed.device();
        self.pos_embed = Param::from_tensor(sinusoid_1d(config.tokens, config.width, &device).unsqueeze());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, s};

    fn tiny() -> SitConfig {
        SitConfig { tokens: 5, channels: 3, width: 16, depth: 2, heads: 2, classes: 4, ..SitConfig::xl() }
    }

    fn inputs(device: &Device) -> (Tensor<3>, Tensor<1>, Tensor<1, Int>) {
        let x = Tensor::random([3, 5, 3], Distribution::Normal(0.0, 1.0), device);
        (x, Tensor::from_floats([0.1, 0.5, 1.0], device), Tensor::from_ints([0, 4, 2], device))
    }

    #[test]
    fn fresh_weights_predict_exactly_zero() {
        let device = Device::flex();
        let (x, t, y) = inputs(&device);
        let v = tiny().init(&device).unwrap().forward(x, t, y);
        assert_eq!(v.abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn a_batch_of_one_equals_its_row_in_a_larger_batch() {
        let device = Device::flex();
        let mut sit = tiny().init(&device).unwrap();
        sit.final_layer.linear = linear_xavier(16, 3, &device);
        sit.blocks[0].ada_ln_modulation = linear_xavier(16, 96, &device);
        let (x, t, y) = inputs(&device);
        let all = sit.forward(x.clone(), t.clone(), y.clone());
        let one = sit.forward(x.slice(s![1..2, .., ..]), t.slice(s![1..2]), y.slice(s![1..2]));
        let difference = (all.slice(s![1..2, .., ..]) - one).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
    }

    #[test]
    fn json_survives_a_round_trip() {
        assert_eq!(SitConfig::from_json(SitConfig::xl().to_json().as_bytes()).unwrap(), SitConfig::xl());
    }

    #[test]
    fn sizes_that_no_machine_holds_are_refused_before_anything_is_made() {
        let small = SitConfig::toon(28);
        for (config, field) in [
            (SitConfig { width: 1 << 40, ..small.clone() }, "width"),
            (SitConfig { depth: 1_000_000_000, ..small.clone() }, "depth"),
            (SitConfig { tokens: usize::MAX, ..small.clone() }, "input_size"),
            (SitConfig { classes: 0, ..small.clone() }, "num_classes"),
            (SitConfig { mlp_ratio: f64::NAN, ..small.clone() }, "mlp_ratio"),
            (SitConfig { class_dropout_prob: 7.0, ..small.clone() }, "class_dropout_prob"),
        ] {
            let message = config.init(&Device::flex()).unwrap_err().to_string();
            assert!(message.contains(field), "{field}: {message}");
        }
    }
}
