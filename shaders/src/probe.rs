//! What an adapter can do at most: the roofs that other kernels' speeds are measured against.

use crate::params::params;
use crate::{Kernel, Swap};

params! {
    /// Of `probe_fma.wgsl`.
    pub struct Fma {
        /// Invocations.
        count: u32,
        /// Rounds of 16 vec4 of multiply-adds.
        rounds: u32,
        /// Near 1.
        factor: f32,
    }
}

params! {
    /// Of `probe_copy.wgsl`.
    pub struct Copy {
        /// Numbers over 4.
        count: u32,
    }
}

/// Floating-point operations of one invocation of [`FMA`] in one round.
pub const FLOP_PER_ROUND: u64 = 16 * 4 * 2;

/// Multiply-adds in registers. Bindings: y, params. Its grid is [`crate::grid`] of `count / 64`, rounded up.
pub const FMA: Kernel = Kernel {
    name: "probe_fma",
    file: wgsl!("probe_fma"),
    workgroup: [64, 1, 1],
    params: Fma::FIELDS,
    swaps: &[Swap { line: "const MATRIX = ", values: &["false", "true"] }],
};

/// A copy. Bindings: x, y, params. Its grid is [`crate::grid`] of `count / 64`, rounded up.
pub const COPY: Kernel =
    Kernel { name: "probe_copy", file: wgsl!("probe_copy"), workgroup: [64, 1, 1], params: Copy::FIELDS, swaps: &[] };
