//! Attention: norms and rotary positions of queries and keys, and the softmax between them.

use crate::params::params;
use crate::{Kernel, Swap, divided};

params! {
    /// Of `attention.wgsl`.
    pub struct Attention {
        /// `T`
        tokens: u32,
        /// `A`
        heads: u32,
        /// `d`, a multiple of 4.
        dim: u32,
        /// The first invocation of this dispatch, of those of the whole work ([`Part::first`]).
        first: u32,
        /// The end of the invocations of this dispatch ([`Part::end`]).
        end: u32,
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

/// The value of the line `HEAD` of [`TILED`] for heads of `dim` numbers; `None` where it has no registers for them.
pub fn head(dim: u32) -> Option<&'static str> {
    HEAD.values.iter().copied().find(|value| value.strip_suffix('u') == Some(dim.to_string().as_str()))
}

/// 16 queries per invocation, no barriers. Bindings: qkv, y, params. Wants [`PREPARE`] before it where queries and keys
/// are normed or turned. One dispatch for each of [`parts`].
pub const ATTENTION: Kernel =
    Kernel { name: "attention", file: wgsl!("attention"), workgroup: [8, 1, 1], params: Attention::FIELDS, swaps: &[] };

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

/// One of the dispatches of [`ATTENTION`] that share a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// For [`Attention::first`].
    pub first: u32,
    /// For [`Attention::end`].
    pub end: u32,
}

impl Part {
    /// Its workgroups.
    pub fn grid(self) -> [u32; 3] {
        crate::grid(u64::from((self.end - self.first).div_ceil(ATTENTION.workgroup[0])))
    }

    /// Of its scores and outputs.
    pub fn multiply_adds(self, tokens: u32, dim: u32) -> u64 {
        u64::from(self.end - self.first) * of_invocation(tokens, dim)
    }
}

/// The dispatches of [`ATTENTION`], nearly equal ones. Valid where `B * A * T` is a `u32`.
pub fn parts(batch: u32, tokens: u32, heads: u32, dim: u32) -> Vec<Part> {
    let invocations = u64::from(batch * heads * tokens.div_ceil(16));
    divided(invocations, invocations.saturating_mul(of_invocation(tokens, dim)))
        .map(|part| Part { first: part.start, end: part.end })
        .collect()
}

/// Multiply-adds of the scores and outputs of 16 queries.
fn of_invocation(tokens: u32, dim: u32) -> u64 {
    2 * 16 * u64::from(tokens) * u64::from(dim)
}

/// Dispatch of [`TILED`]: 32 queries of one head of one sample to a workgroup. Valid where no number is above 65,535.
pub fn grid(batch: u32, tokens: u32, heads: u32) -> [u32; 3] {
    [tokens.div_ceil(32), heads, batch]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_long_work_has_more_than_one() {
        for (sizes, count) in [
            ((1, 1, 1, 4), 1),
            ((2, 16, 4, 64), 1),
            ((1, 385, 12, 64), 1),
            ((2, 1024, 16, 72), 19),
            ((1, 65_536, 1, 4), 128),
        ] {
            let (batch, tokens, heads, dim): (u32, u32, u32, u32) = sizes;
            let parts = parts(batch, tokens, heads, dim);
            assert_eq!(parts.len(), count, "{sizes:?}");
            let mut end = 0;
            for part in parts {
                assert!(part.first == end && part.end > part.first, "{part:?} after {end} of {sizes:?}");
                let [x, y, z] = part.grid();
                assert!(x * y * z * 8 >= part.end - part.first);
                end = part.end;
            }
            assert_eq!(end, batch * heads * tokens.div_ceil(16), "{sizes:?}");
        }
    }
}
