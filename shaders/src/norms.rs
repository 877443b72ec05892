//! Layer norm and RMS norm, with scale and shift from parameters or from a table of modulations.

use crate::params::params;
use crate::{Kernel, Swap};

params! {
    /// Of `layer_norm.wgsl` and `layer_norm_rows.wgsl`; the header has a table of what to put in for each use.
    pub struct Norm {
        /// `B * T`
        rows: u32,
        /// `T`
        tokens: u32,
        /// `D`, a multiple of 4.
        width: u32,
        /// First token of a sample that is scaled and shifted; `tokens` for none.
        first: u32,
        /// Rows of modulation per sample.
        per_sample: u32,
        /// Rows of modulation per token.
        per_token: u32,
        /// Numbers in a row of modulation, a multiple of 4.
        stride: u32,
        /// Where the scale begins in its row, a multiple of 4.
        scale_at: u32,
        /// Where the shift begins in its row, a multiple of 4.
        shift_at: u32,
        /// 1 if the weight is used.
        weighted: u32,
        /// Added to the scale: 1 in adaLN, else 0.
        one: f32,
        /// Added to the variance.
        eps: f32,
    }
}

/// False for RMS norm.
const CENTRED: Swap = Swap { line: "const CENTRED = ", values: &["true", "false"] };

/// One workgroup per row. Bindings: x, weight, scale, shift, y, params. Its grid is [`crate::grid`] of the rows.
pub const LAYER_NORM: Kernel = Kernel {
    name: "layer_norm",
    file: wgsl!("layer_norm"),
    workgroup: [64, 1, 1],
    params: Norm::FIELDS,
    swaps: &[CENTRED],
};

/// One invocation per row, no barriers. Bindings as [`LAYER_NORM`]'s. Its grid is [`crate::grid`] of `rows / 32`,
/// rounded up.
pub const LAYER_NORM_ROWS: Kernel = Kernel {
    name: "layer_norm_rows",
    file: wgsl!("layer_norm_rows"),
    workgroup: [32, 1, 1],
    params: Norm::FIELDS,
    swaps: &[CENTRED],
};
