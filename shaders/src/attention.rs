//! Attention: norms and rotary positions of queries and keys, and the softmax between them.

use crate::params::params;
use crate::{Kernel, Swap};

params! {
    /// Of `attention.wgsl`.
    pub struct Attention {
        /// `T`
        tokens: u32,
        /// `A`
        heads: u32,
        /// `1 / sqrt(d)`
        scale: f32,
    }
}

params! {
    /// Of `attention_tiled.wgsl`.
    pub struct Tiled {
        /// `T`
        tokens: u32,
        /// `A`
        heads: u32,
        /// `1 / sqrt(d)`
        scale: f32,
        /// Index of the first image token.
        first: u32,
        /// `N`, 0 without rotary positions.
        patches: u32,
        /// Heads of the tables, at least 1.
        table_heads: u32,
    }
}

params! {
    /// Of `qk_prepare.wgsl`.
    pub struct Prepare {
        /// `B * T * 2A`
        rows: u32,
        /// `T`
        tokens: u32,
        /// `A`
        heads: u32,
        /// `d`, a multiple of 4.
        dim: u32,
        /// Index of the first image token.
        first: u32,
        /// `N`, 0 without rotary positions.
        patches: u32,
        /// Heads of the tables, at least 1.
        table_heads: u32,
        /// [`NO_NORM`], [`LAYER_NORM`] or [`RMS_NORM`].
        norm: u32,
        /// Of the norm.
        eps: f32,
    }
}

/// [`Prepare::norm`]: queries and keys as they are.
pub const NO_NORM: u32 = 0;
/// [`Prepare::norm`]: layer norm with weight and bias.
pub const LAYER_NORM: u32 = 1;
/// [`Prepare::norm`]: RMS norm with weight.
pub const RMS_NORM: u32 = 2;

/// Head sizes; on disk stands 64.
const HEAD: Swap = Swap {
    line: "const HEAD = ",
    values: &[
        "64u", "4u", "8u", "12u", "16u", "20u", "24u", "28u", "32u", "36u", "40u", "44u", "48u", "52u", "56u", "60u",
        "68u", "72u", "76u", "80u", "84u", "88u", "92u", "96u", "100u", "104u", "108u", "112u", "116u", "120u", "124u",
        "128u",
    ],
};

/// The value of the line `HEAD` for heads of `dim` numbers; `None` where the kernels have no registers for it.
pub fn head(dim: u32) -> Option<&'static str> {
    HEAD.values.iter().copied().find(|value| value.strip_suffix('u') == Some(dim.to_string().as_str()))
}

/// One query per invocation, no barriers. Bindings: qkv, y, params. Wants [`PREPARE`] before it where queries and keys
/// are normed or turned.
pub const ATTENTION: Kernel = Kernel {
    name: "attention",
    file: wgsl!("attention"),
    workgroup: [32, 1, 1],
    params: Attention::FIELDS,
    swaps: &[HEAD],
};

/// Keys and values in workgroup memory, rotary positions on the way in. Bindings: qkv, cosines, sines, y, params.
pub const TILED: Kernel = Kernel {
    name: "attention_tiled",
    file: wgsl!("attention_tiled"),
    workgroup: [128, 1, 1],
    params: Tiled::FIELDS,
    swaps: &[HEAD],
};

/// Norm and rotary positions of queries and keys, in place. Bindings: qkv, cosines, sines, affine, params. Its grid is
/// [`crate::grid`] of `rows / 64`, rounded up.
pub const PREPARE: Kernel = Kernel {
    name: "qk_prepare",
    file: wgsl!("qk_prepare"),
    workgroup: [64, 1, 1],
    params: Prepare::FIELDS,
    swaps: &[],
};

/// Dispatch of [`ATTENTION`] and [`TILED`]: 32 queries of one head of one sample to a workgroup. Valid where no number
/// is above 65,535.
pub fn grid(batch: u32, tokens: u32, heads: u32) -> [u32; 3] {
    [tokens.div_ceil(32), heads, batch]
}
