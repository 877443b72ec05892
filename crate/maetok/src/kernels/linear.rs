//! Linear layers with what follows them, in one dispatch or, where that would be a long one, in several.

use burn::tensor::Tensor;
pub use maetok_loops::Activation;
use maetok_shaders::linear::{LinearParams, Part, REGISTERS, TILES, VECTOR, registers_parts, tiles_grid, vector_grid};

use super::choice::{self, Family};
use super::cpu;
use super::launch::{Buffer, Slot, launch, queue};
use super::packed::{Matrix, Read};

/// What a layer's result is added to.
#[derive(Clone, Copy, Debug, Default)]
pub enum Residual<'a> {
    /// Nothing.
    #[default]
    None,
    /// `[B, T, N]`, or `[1, T, N]` for every sample.
    Added(&'a Tensor<3>),
    /// `[B, T, N]`, with the result times a gate.
    Gated(&'a Tensor<3>, Gate<'a>),
}

/// A factor for each channel of a branch.
#[derive(Clone, Copy, Debug)]
pub enum Gate<'a> {
    /// `[N]`, the same everywhere: LayerScale.
    Channels(&'a Tensor<1>),
    /// A row for each sample: adaLN.
    Samples {
        /// A table of modulations, `[R, parts * N]`.
        table: &'a Tensor<2>,
        /// Row of the first sample.
        row: usize,
        /// Column of its first gate.
        at: usize,
    },
}

/// `residual + gate * activation(x weight + bias)`, or `None` where no kernel can.
///
/// # Shapes
/// - `x`: `[.., K]`, three axes if there is a residual
/// - `weight`: `[K, N]`; `bias`: `[N]`
/// - returns `[.., N]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: Matrix<'_>,
    bias: Option<&Tensor<1>>,
    activation: Activation,
    residual: Residual<'_>,
) -> Option<Tensor<D>> {
    let [k, n] = weight.dims();
    let mut shape = x.dims();
    assert_eq!(shape[D - 1], k, "{shape:?} through a layer of {k} x {n}");
    let m: usize = shape[..D - 1].iter().product();
    if let Some(y) = cpu::linear(x, weight, bias, activation, residual) {
        return Some(y);
    }
    if !k.is_multiple_of(4) || !n.is_multiple_of(4) || m == 0 || k == 0 || n == 0 {
        return None;
    }
    let input = Buffer::of(x)?;
    let family = choice::linear(input.device(), m)?;
    let Read { line, words, scales, group } = weight.read()?;
    let bias = bias.map(Buffer::of::<1>).map_or(Some(None), |buffer| buffer.map(Some))?;

    let mut params = LinearParams::new(number(m)?, number(n)?, number(k)?);
    if let Some(group) = group {
        params.group = number(group)?;
    }
    let (kind, old, gate) = match residual {
        Residual::None => ("NONE", None, None),
        Residual::Added(old) => ("ADDED", Some(old), None),
        Residual::Gated(old, gate) => ("GATED", Some(old), Some(gate)),
    };
    let old = match old {
        Some(old) => {
            let [samples, tokens, width] = old.dims();
            let fits = D == 3 && width == n && tokens == shape[1] && (samples == 1 || samples == shape[0]);
            assert!(fits, "residual of {:?} for {shape:?} of {n}", old.dims());
            params.residual_rows = number(samples * tokens)?;
            Some(Buffer::of(old)?)
        }
        None => None,
    };
    let gate = match gate {
        Some(Gate::Channels(gamma)) => {
            assert_eq!(gamma.dims(), [n], "one gate per channel");
            Some(Buffer::of(gamma)?)
        }
        Some(Gate::Samples { table, row, at }) => {
            let [rows, columns] = table.dims();
            let samples = shape[0];
            assert!(row + samples <= rows && at + n <= columns, "gates {row}, {at} of {rows} x {columns}");
            params.rows_per_sample = number(m / samples)?;
            params.gate_stride = number(columns)?;
            params.gate_offset = number(row * columns + at)?;
            if !columns.is_multiple_of(4) || !at.is_multiple_of(4) {
                return None;
            }
            Some(Buffer::of(table)?)
        }
        None => None,
    };

    shape[D - 1] = n;
    let y = input.fresh(shape);
    let mut choices = vec![
        ("WEIGHTS", line),
        ("BIAS", if bias.is_some() { "true" } else { "false" }),
        ("ACTIVATION", activation_line(activation)),
        ("RESIDUAL", kind),
    ];
    let [scales, bias, old, gate] = [scales.as_ref(), bias.as_ref(), old.as_ref(), gate.as_ref()].map(Slot::from);
    let slots = [Slot::In(&input), Slot::In(&words), scales, bias, old, gate, Slot::Out(&y)];
    match family {
        Family::Vector => {
            let rows = m.min(4);
            choices.push(("ROWS", ["1u", "2u", "3u", "4u"][rows - 1]));
            launch(&VECTOR, &choices, vector_grid(params.m, params.n, rows as u32), &slots, &params.words());
        }
        Family::LinearTiles => {
            launch(&TILES, &choices, tiles_grid(params.m, params.n), &slots, &params.words());
        }
        _ => {
            for Part { first, grid, multiply_adds } in registers_parts(&params) {
                queue(&y, multiply_adds);
                launch(&REGISTERS, &choices, grid, &slots, &LinearParams { first, ..params }.words());
            }
        }
    }
    Some(y.tensor())
}

fn activation_line(activation: Activation) -> &'static str {
    match activation {
        Activation::Identity => "IDENTITY",
        Activation::GeluExact => "GELU_EXACT",
        Activation::GeluTanh => "GELU_TANH",
        Activation::Silu => "SILU",
    }
}

/// Sizes that a kernel counts in 32 bits; `None` beyond.
pub(super) fn number(size: usize) -> Option<u32> {
    u32::try_from(size).ok()
}
