//! Linear layers with what follows them, in three shapes of one interface.
//!
//! | kernel | for | grid |
//! | --- | --- | --- |
//! | [`REGISTERS`], `linear_registers.wgsl` | software and small adapters: no barriers | one workgroup per 128 x 128 outputs |
//! | [`TILES`], `linear_tiles.wgsl` | real GPUs: tiles in workgroup memory | one workgroup per 64 x 64 outputs |
//! | [`VECTOR`], `vector_matrix.wgsl` | one to four rows | one workgroup per `ROWS` x 64 outputs |
//!
//! [`UNPACK`], `unpack.wgsl`, gives the weights themselves. The other three have the same eight bindings, `x w scale bias residual gate y params`, and the same swaps but for `ROWS`
//! of [`VECTOR`]. `y` must be another buffer than the ones that are read. [`registers_grid`], [`tiles_grid`] and [`vector_grid`] count
//! the workgroups, [`LinearParams`] is what they are told. [`registers_parts`] divides what takes a software adapter long.
//!
//! Weights are packed down their columns, so that four rows of four columns come with one to four loads of 16 bytes:
//! [`pack_f32`], [`pack_f16`], [`pack_int8`].

use half::f16;

use crate::params::params;
use crate::{Kernel, Swap, divided, grid};

/// `linear_registers.wgsl`
pub const REGISTERS: Kernel = Kernel {
    name: "linear_registers",
    file: wgsl!("linear_registers"),
    workgroup: [8, 8, 1],
    params: LinearParams::FIELDS,
    swaps: &[WEIGHTS, BIAS, ACTIVATION, RESIDUAL],
};

/// `linear_tiles.wgsl`
pub const TILES: Kernel = Kernel {
    name: "linear_tiles",
    file: wgsl!("linear_tiles"),
    workgroup: [128, 1, 1],
    params: LinearParams::FIELDS,
    swaps: &[WEIGHTS, BIAS, ACTIVATION, RESIDUAL],
};

/// `vector_matrix.wgsl`
pub const VECTOR: Kernel = Kernel {
    name: "vector_matrix",
    file: wgsl!("vector_matrix"),
    workgroup: [128, 1, 1],
    params: LinearParams::FIELDS,
    swaps: &[WEIGHTS, BIAS, ACTIVATION, RESIDUAL, ROWS],
};

/// `unpack.wgsl`. Bindings: w, scale, y, params.
pub const UNPACK: Kernel = Kernel {
    name: "unpack",
    file: wgsl!("unpack"),
    workgroup: [64, 1, 1],
    params: UnpackParams::FIELDS,
    swaps: &[WEIGHTS],
};

const WEIGHTS: Swap = Swap { line: "const WEIGHTS = ", values: &["F32", "F16", "INT8"] };
const BIAS: Swap = Swap { line: "const BIAS = ", values: &["true", "false"] };
const ACTIVATION: Swap = Swap { line: "const ACTIVATION = ", values: &["IDENTITY", "GELU_EXACT", "GELU_TANH", "SILU"] };
const RESIDUAL: Swap = Swap { line: "const RESIDUAL = ", values: &["NONE", "ADDED", "GATED"] };
const ROWS: Swap = Swap { line: "const ROWS = ", values: &["4u", "1u", "2u", "3u"] };

params! {
    /// What the three kernels are told. Start from [`LinearParams::new`].
    pub struct LinearParams {
        /// Rows of `x` and `y`.
        m: u32,
        /// Columns of `w` and `y`, a multiple of 4.
        n: u32,
        /// Columns of `x`, rows of `w`, a multiple of 4.
        k: u32,
        /// Rows of `w` under one scale, a multiple of 4.
        group: u32,
        /// The residual starts over after so many rows, as positions do for every sample.
        residual_rows: u32,
        /// Rows of `y` under one row of gates.
        rows_per_sample: u32,
        /// Floats from one row of gates to the next, a multiple of 4; 0 for one row that serves all (LayerScale).
        gate_stride: u32,
        /// Floats before the first gate, a multiple of 4: gates are read where adaLN left them, among its other parts.
        gate_offset: u32,
        /// Number of this dispatch's first workgroup, where several share the work; 0 where one does it all.
        first: u32,
    }
}

params! {
    /// What [`UNPACK`] is told.
    pub struct UnpackParams {
        /// Columns, a multiple of 4.
        n: u32,
        /// Rows, a multiple of 4.
        k: u32,
        /// Rows under one scale, a multiple of 4.
        group: u32,
    }
}

impl LinearParams {
    /// One group of scales, a residual of as many rows as `y`, one row of gates, one dispatch.
    ///
    /// # Panics
    /// If `n` or `k` is not a multiple of 4.
    pub fn new(m: u32, n: u32, k: u32) -> Self {
        assert!(n.is_multiple_of(4) && k.is_multiple_of(4), "{k} x {n} weights: both must be multiples of 4");
        let all = m.max(1);
        Self {
            m,
            n,
            k,
            group: k.max(4),
            residual_rows: all,
            rows_per_sample: all,
            gate_stride: 0,
            gate_offset: 0,
            first: 0,
        }
    }
}

/// The dispatch of [`REGISTERS`], where one does it all.
pub fn registers_grid(m: u32, n: u32) -> [u32; 3] {
    grid(u64::from(m.div_ceil(128)) * u64::from(n.div_ceil(128)))
}

/// One of the dispatches of [`REGISTERS`] that share a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// For [`LinearParams::first`].
    pub first: u32,
    /// Its workgroups.
    pub grid: [u32; 3],
    /// What they do.
    pub multiply_adds: u64,
}

/// The dispatches of [`REGISTERS`] where none may be long.
///
/// # Panics
/// If there are 2^32 workgroups or more.
pub fn registers_parts(params: &LinearParams) -> impl Iterator<Item = Part> {
    let [m, n, k] = [params.m, params.n, params.k].map(u64::from);
    let groups = m.div_ceil(128) * n.div_ceil(128);
    // An invocation that has one row computes 16.
    let all = m.next_multiple_of(16).saturating_mul(n).saturating_mul(k);
    let share = move |count: u64| (u128::from(all) * u128::from(count) / u128::from(groups.max(1))) as u64;
    divided(groups, all).map(move |part| {
        let count = part.len() as u64;
        Part { first: part.start, grid: grid(count), multiply_adds: share(count) }
    })
}

/// The dispatch of [`TILES`].
pub fn tiles_grid(m: u32, n: u32) -> [u32; 3] {
    grid(u64::from(m.div_ceil(64)) * u64::from(n.div_ceil(64)))
}

/// The dispatch of [`VECTOR`] with so many `ROWS`.
pub fn vector_grid(m: u32, n: u32, rows: u32) -> [u32; 3] {
    grid(u64::from(m.div_ceil(rows)) * u64::from(n.div_ceil(64)))
}

/// The dispatch of [`UNPACK`].
pub fn unpack_grid(n: u32, k: u32) -> [u32; 3] {
    grid((u64::from(n / 4) * u64::from(k / 4)).div_ceil(64))
}

/// Why weights cannot be packed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PackError {
    /// A row or column count, or a group, that is no multiple of 4, or a list of another length.
    #[error("{length} weights as {k} rows of {n}, groups of {group}: not multiples of 4, or not k * n weights")]
    Shape {
        /// Number of weights.
        length: usize,
        /// Rows.
        k: usize,
        /// Columns.
        n: usize,
        /// Rows under one scale.
        group: usize,
    },
    /// A weight that the storage cannot hold: not finite, or beyond 65,504 for f16.
    #[error("weight {index} is {value}, which the packed form cannot hold")]
    Value {
        /// Its place in the list.
        index: usize,
        /// The weight.
        value: f32,
    },
}

/// Int8 weights and their scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8 {
    /// `[K/4, N]`: rows 4i to 4i + 3 of a column, the first in the lowest byte.
    pub words: Vec<u32>,
    /// `[ceil(K / group), N]`
    pub scales: Vec<f32>,
}

fn check(weights: &[f32], k: usize, n: usize, group: usize, most: f32) -> Result<(), PackError> {
    let fours = k.is_multiple_of(4) && n.is_multiple_of(4) && group.is_multiple_of(4) && group > 0;
    if !fours || Some(weights.len()) != k.checked_mul(n) {
        return Err(PackError::Shape { length: weights.len(), k, n, group });
    }
    match weights.iter().position(|weight| weight.is_nan() || weight.abs() > most) {
        Some(index) => Err(PackError::Value { index, value: weights[index] }),
        None => Ok(()),
    }
}

/// `[K, N]` as it is: the bits of each weight.
///
/// # Errors
/// [`PackError`] for a wrong shape or a weight that is not finite.
pub fn pack_f32(weights: &[f32], k: usize, n: usize) -> Result<Vec<u32>, PackError> {
    check(weights, k, n, 4, f32::MAX)?;
    Ok(weights.iter().map(|weight| weight.to_bits()).collect())
}

/// `[K, N]` to `[K/2, N]`: two rows of a column in a word, the upper row in its lower half, each rounded to the nearest
/// f16, ties to even.
///
/// # Errors
/// [`PackError`] for a wrong shape or a weight that f16 cannot hold.
pub fn pack_f16(weights: &[f32], k: usize, n: usize) -> Result<Vec<u32>, PackError> {
    check(weights, k, n, 4, f16::MAX.to_f32())?;
    let word = |row: usize, column: usize| {
        let bits = |row: usize| u32::from(f16::from_f32(weights[row * n + column]).to_bits());
        bits(row) | bits(row + 1) << 16
    };
    Ok((0..k / 2).flat_map(|pair| (0..n).map(move |column| (2 * pair, column))).map(|(r, c)| word(r, c)).collect())
}

/// `[K, N]` to int8 `[K/4, N]` with one scale per column and `group` rows: the scale is the largest magnitude over 127,
/// each weight the nearest multiple of it, ties to even. So no weight is off by more than half its scale, and -128 does
/// not occur.
///
/// # Errors
/// [`PackError`] for a wrong shape or a weight that is not finite.
pub fn pack_int8(weights: &[f32], k: usize, n: usize, group: usize) -> Result<Int8, PackError> {
    check(weights, k, n, group, f32::MAX)?;
    let mut scales = vec![0.0_f32; k.div_ceil(group) * n];
    for (index, weight) in weights.iter().enumerate() {
        let scale = &mut scales[index / n / group * n + index % n];
        *scale = scale.max(weight.abs());
    }
    for scale in &mut scales {
        *scale /= 127.0;
    }
    let byte = |row: usize, column: usize| {
        let scale = scales[row / group * n + column];
        // A column of zeros, or of numbers so small that their scale vanished.
        let steps = if scale == 0.0 { 0.0 } else { f64::from(weights[row * n + column]) / f64::from(scale) };
        u32::from((steps.round_ties_even().clamp(-127.0, 127.0) as i8) as u8)
    };
    let word = |(four, column): (usize, usize)| {
        (0..4).map(|row| byte(4 * four + row, column) << (8 * row)).fold(0, |word, byte| word | byte)
    };
    let words = (0..k / 4).flat_map(|four| (0..n).map(move |column| (four, column))).map(word).collect();
    Ok(Int8 { words, scales })
}

/// The weights that [`pack_f16`] stands for, `[K, N]`.
pub fn unpack_f16(words: &[u32], n: usize) -> Vec<f32> {
    let half = |word: u32, row: usize| f16::from_bits((word >> (16 * row)) as u16).to_f32();
    let rows = words.chunks_exact(n).flat_map(|pair| (0..2).map(move |row| (pair, row)));
    rows.flat_map(|(pair, row)| pair.iter().map(move |word| half(*word, row))).collect()
}

/// The weights that [`pack_int8`] stands for, `[K, N]`.
pub fn unpack_int8(packed: &Int8, n: usize, group: usize) -> Vec<f32> {
    let value = |index: usize| {
        let (row, column) = (index / n, index % n);
        let steps = (packed.words[row / 4 * n + column] >> (8 * (row % 4))) as u8 as i8;
        f32::from(steps) * packed.scales[row / group * n + column]
    };
    (0..4 * packed.words.len()).map(value).collect()
}
