//! Multi-head self-attention over all tokens, with optional qk-norm and rotary positions.
//!
//! Differs from the official code: none in value; dropout (0 everywhere) is left out.

use std::ops::ControlFlow;

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, assert_shape, s};

use super::precision::matmul;
use super::{LayerNorm, Probe, linear, linear_normal, rope};
use crate::kernels::{self, HeadNorm};

/// Sizes of an [`Attention`].
#[derive(Config, Debug)]
pub struct AttentionConfig {
    /// Width, `D`.
    pub width: usize,
    /// Heads, `A`; `D` must be a multiple.
    pub heads: usize,
    /// Layer norm (eps 1e-5) on queries and keys; off in every released model.
    #[config(default = false)]
    pub qk_norm: bool,
}

impl AttentionConfig {
    /// Fresh weights: normal with std 0.02, zero bias.
    pub fn init(&self, device: &Device) -> Attention {
        let dim = self.width / self.heads;
        let norm = || self.qk_norm.then(|| LayerNorm::new(dim, 1e-5, device));
        Attention {
            qkv: linear_normal(self.width, 3 * self.width, 0.02, device),
            q_norm: norm(),
            k_norm: norm(),
            proj: linear_normal(self.width, self.width, 0.02, device),
            heads: self.heads,
        }
    }
}

/// See the module text. Made by [`AttentionConfig::init`].
#[derive(Module, Debug)]
pub struct Attention {
    /// `D -> 3D`, in the order q, k, v.
    pub qkv: Linear,
    /// On queries, over the head size.
    pub q_norm: Option<LayerNorm>,
    /// On keys, over the head size.
    pub k_norm: Option<LayerNorm>,
    /// `D -> D`
    pub proj: Linear,
    heads: usize,
}

/// Where the image tokens stand and how they turn; see [`rope::rotate`].
pub struct Rotary {
    /// Cosines and sines of this block, `[A, N, d/2]`.
    pub table: (Tensor<3>, Tensor<3>),
    /// Index of the first image token.
    pub first: usize,
}

impl Attention {
    /// `[B, T, D] -> [B, T, D]`; every token attends to every token.
    pub fn forward(&self, x: Tensor<3>, rotary: Option<&Rotary>, probe: &mut impl Probe) -> Tensor<3> {
        linear(&self.proj, self.mixed(x, rotary, probe))
    }

    /// What the last layer reads: values mixed by the attention, heads side by side, `[B, T, D] -> [B, T, D]`.
    pub fn mixed<P: Probe>(&self, x: Tensor<3>, rotary: Option<&Rotary>, probe: &mut P) -> Tensor<3> {
        let qkv = linear(&self.qkv, x); // [B, T, 3D]
        let qkv = match P::ACTIVE {
            true => qkv,
            false => match self.by_kernel(qkv, rotary) {
                ControlFlow::Break(mixed) => return mixed,
                ControlFlow::Continue(qkv) => qkv,
            },
        };
        let [q, k, v] = split_heads(qkv, self.heads); // [B, A, T, d] each
        let norm = |norm: &Option<LayerNorm>, x: Tensor<4>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let mut q = norm(&self.q_norm, q);
        let mut k = norm(&self.k_norm, k);
        if let Some(rotary) = rotary {
            probe.enter("rope", None);
            q = turn(q, rotary, ["q_in", "q_out"], probe);
            k = turn(k, rotary, ["k_in", "k_out"], probe);
            probe.exit();
        }
        attend(scores(q, k), v)
    }

    fn by_kernel(&self, qkv: Tensor<3>, rotary: Option<&Rotary>) -> ControlFlow<Tensor<3>, Tensor<3>> {
        let rotary = rotary.map(|rotary| (&rotary.table, rotary.first));
        let (Some(q), Some(k)) = (&self.q_norm, &self.k_norm) else {
            return kernels::attention(qkv, self.heads, HeadNorm::None, rotary);
        };
        let rows = [q.weight.val(), q.bias.val(), k.weight.val(), k.bias.val()];
        kernels::attention(qkv, self.heads, HeadNorm::Layer(rows.each_ref(), q.eps()), rotary)
    }
}

/// `[B, T, 3D] -> ` queries, keys and values, `[B, A, T, d]` each.
///
/// # Panics
/// If `D` is not a multiple of `heads`.
pub(crate) fn split_heads(qkv: Tensor<3>, heads: usize) -> [Tensor<4>; 3] {
    let [batch, tokens, triple] = qkv.dims();
    let dim = triple / (3 * heads);
    assert_shape!(qkv, [batch, tokens, 3 * heads * dim]);
    let qkv = qkv.reshape([batch, tokens, 3, heads, dim]).permute([2, 0, 3, 1, 4]); // [3, B, A, T, d]
    [0, 1, 2].map(|i| qkv.clone().slice(s![i..i + 1, .., .., .., ..]).squeeze_dim::<4>(0))
}

/// `q kᵀ / sqrt(d)`: `[B, A, T, d]` twice to `[B, A, T, T]`.
pub(crate) fn scores(q: Tensor<4>, k: Tensor<4>) -> Tensor<4> {
    let [_, _, _, dim] = q.dims();
    matmul(q * (dim as f64).powf(-0.5), k.swap_dims(2, 3))
}

/// Values mixed by the softmax of the scores, heads side by side: `[B, A, T, T]` and `[B, A, T, d]` to `[B, T, D]`.
pub(crate) fn attend(scores: Tensor<4>, v: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, dim] = v.dims();
    matmul(softmax(scores, 3), v).swap_dims(1, 2).reshape([batch, tokens, heads * dim])
}

fn turn<P: Probe>(x: Tensor<4>, rotary: &Rotary, names: [&'static str; 2], probe: &mut P) -> Tensor<4> {
    let turned = rope::rotate(x.clone(), &rotary.table, rotary.first);
    if P::ACTIVE {
        let [_, patches, _] = rotary.table.0.dims();
        for (name, tensor) in names.into_iter().zip([x, turned.clone()]) {
            probe.see(name, &tensor.slice(s![.., .., rotary.first..rotary.first + patches, ..]));
        }
    }
    turned
}
