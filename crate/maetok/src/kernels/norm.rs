//! Layer norm and RMS norm with their scale and shift in one dispatch.

use burn::tensor::Tensor;
use maetok_shaders::grid;
use maetok_shaders::norms::{LAYER_NORM, LAYER_NORM_ROWS, Norm as Params};

use super::choice::{self, Family};
use super::cpu;
use super::launch::{Buffer, Slot, launch};
use super::linear::number;

/// What the values of a row are divided by.
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// Their standard deviation, after their mean was subtracted.
    Layer,
    /// Their root mean square; then times a weight, `[D]`.
    Rms(&'a Tensor<1>),
}

/// What a normed row is multiplied by and added to.
#[derive(Clone, Copy, Debug)]
pub enum Modulation<'a> {
    /// Nothing.
    None,
    /// `n * weight + bias`, `[D]` each.
    Affine {
        /// Factors.
        weight: &'a Tensor<1>,
        /// Summands.
        bias: &'a Tensor<1>,
    },
    /// `n * (1 + scale) + shift`, a row of modulations for each sample: adaLN.
    Samples {
        /// `[R, parts * D]`
        table: &'a Tensor<2>,
        /// Row of the first sample.
        row: usize,
        /// Column of the shift; the scale comes after it.
        at: usize,
    },
    /// `n * scale + shift` for the last `L` tokens, a row of modulations for each: MoVQ.
    Latents {
        /// `[B, L, parts * D]`
        table: &'a Tensor<3>,
        /// Column of the shift; the scale comes after it.
        at: usize,
    },
}

/// Norm over the last axis, then the modulation; `None` where no kernel can.
///
/// # Shapes
/// - `x`: `[.., D]`; `[B, T, D]` if modulations belong to samples or latents
/// - returns the shape of `x`
///
/// # Panics
/// If the shapes do not fit together.
pub fn norm<const D: usize>(x: &Tensor<D>, norm: Norm<'_>, eps: f64, modulation: Modulation<'_>) -> Option<Tensor<D>> {
    if let Some(y) = cpu::norm(x, norm, eps, modulation) {
        return Some(y);
    }
    let shape = x.dims();
    let width = shape[D - 1];
    let rows: usize = shape[..D - 1].iter().product();
    if !width.is_multiple_of(4) || width == 0 || rows == 0 {
        return None;
    }
    let input = Buffer::of(x)?;
    let family = choice::norm(input.device())?;
    let weight = match norm {
        Norm::Layer => None,
        Norm::Rms(weight) => Some(Buffer::of(weight)?),
    };
    let tokens = if D > 2 { shape[D - 2] } else { rows };
    let mut params = Params {
        rows: number(rows)?,
        tokens: number(tokens)?,
        width: number(width)?,
        first: number(tokens)?,
        per_sample: 0,
        per_token: 0,
        stride: number(width)?,
        scale_at: 0,
        shift_at: 0,
        weighted: u32::from(weight.is_some()),
        one: 0.0,
        eps: eps as f32,
    };
    let (scale, shift) = match modulation {
        Modulation::None => (None, None),
        Modulation::Affine { weight, bias } => {
            assert_eq!((weight.dims(), bias.dims()), ([width], [width]), "affine parameters");
            params.first = 0;
            (Some(Buffer::of(weight)?), Some(Buffer::of(bias)?))
        }
        Modulation::Samples { table, row, at } => {
            let [all, columns] = table.dims();
            assert!(row + shape[0] <= all && at + 2 * width <= columns, "part {row}, {at} of {all} x {columns}");
            params = Params { first: 0, per_sample: 1, one: 1.0, ..placed(params, columns, row * columns + at)? };
            let table = Buffer::of(table)?;
            (Some(table.clone()), Some(table))
        }
        Modulation::Latents { table, at } => {
            let [samples, latents, columns] = table.dims();
            assert!(samples == shape[0] && latents <= tokens && at + 2 * width <= columns, "{:?}", table.dims());
            let placed = placed(params, columns, at)?;
            params = Params { first: number(tokens - latents)?, per_sample: number(latents)?, per_token: 1, ..placed };
            let table = Buffer::of(table)?;
            (Some(table.clone()), Some(table))
        }
    };
    let (kernel, groups) = match family {
        Family::Norm => (&LAYER_NORM, rows),
        _ => (&LAYER_NORM_ROWS, rows.div_ceil(32)),
    };
    let centred = if matches!(norm, Norm::Layer) { "true" } else { "false" };
    let y = input.fresh(shape);
    let [weight, scale, shift] = [weight.as_ref(), scale.as_ref(), shift.as_ref()].map(Slot::from);
    let slots = [Slot::In(&input), weight, scale, shift, Slot::Out(&y)];
    launch(kernel, &[("CENTRED", centred)], grid(groups as u64), &slots, &params.words());
    Some(y.tensor())
}

/// Shift, then scale, `at` numbers into a table of so many `columns`.
fn placed(params: Params, columns: usize, at: usize) -> Option<Params> {
    let scale_at = at + params.width as usize;
    let fits = columns.is_multiple_of(4) && at.is_multiple_of(4);
    fits.then_some(Params { stride: number(columns)?, shift_at: number(at)?, scale_at: number(scale_at)?, ..params })
}
