//! The same steps on the CPU, by the loops of `maetok-loops`: from tensors to slices and back.

#[cfg(test)]
mod tests;

use std::ops::Deref;

use burn::backend::flex::FlexTensor;
use burn::backend::{BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Device, Tensor, TensorData};
use maetok_loops as loops;

use super::choice;
use super::{Activation, Gate, HeadNorm, Matrix, Modulation, Norm, Packed, Residual};

/// A tensor's numbers on the CPU, row-major.
struct Numbers(FlexTensor);

impl Numbers {
    /// The numbers of an f32 tensor; `None` if it lies elsewhere, has other numbers, takes part in training, or plain
    /// ops are asked for.
    fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let DispatchTensor {
            kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
            autodiff: DispatchAutodiffContext::Disabled,
        } = tensor.clone().into_dispatch()
        else {
            return None;
        };
        let fits = tensor.dtype() == DType::F32 && choice::loops();
        fits.then(|| Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }))
    }

    /// The numbers of a tensor that may be missing; `None` if it is there and has none.
    fn of_some<const D: usize>(tensor: Option<&Tensor<D>>) -> Option<Option<Self>> {
        tensor.map(Self::of).map_or(Some(None), |numbers| numbers.map(Some))
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.0.as_slice().expect("contiguous numbers in f32")
    }
}

/// Whether the loops compute on `device`: the CPU, outside training.
pub fn computes_on(device: &Device) -> bool {
    Numbers::of(&Tensor::<1>::zeros([1], device)).is_some()
}

/// Room for `count` numbers. In tests it is full of NaN, so that what a loop leaves out shows.
fn room(count: usize) -> Vec<f32> {
    vec![if cfg!(test) { f32::NAN } else { 0.0 }; count]
}

fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// [`linear`](super::linear()) for tensors on the CPU.
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
    let m: usize = shape[..D - 1].iter().product();
    if m == 0 || k == 0 || n == 0 {
        return None;
    }
    let (input, bias) = (Numbers::of(x)?, Numbers::of_some(bias)?);
    let rows = match weight {
        Matrix::Plain(rows) => Some(Numbers::of(rows)?),
        Matrix::Packed(_) => None,
    };
    let weight = match (&rows, weight) {
        (Some(rows), _) => loops::Weight::Rows(rows),
        (None, Matrix::Packed(Packed::Panels(panels))) => loops::Weight::Panels(panels),
        _ => return None,
    };
    let (old, gate) = match residual {
        Residual::None => (None, None),
        Residual::Added(old) => (Some(old), None),
        Residual::Gated(old, gate) => (Some(old), Some(gate)),
    };
    if let Some(old) = old {
        let [samples, tokens, width] = old.dims();
        let fits = D == 3 && width == n && tokens == shape[1] && (samples == 1 || samples == shape[0]);
        assert!(fits, "residual of {:?} for {shape:?} of {n}", old.dims());
    }
    let old = Numbers::of_some(old)?;
    // The table, where its first gate stands, the step to the next sample's, rows of a sample.
    let gates = match gate {
        None => None,
        Some(Gate::Channels(gamma)) => {
            assert_eq!(gamma.dims(), [n], "one gate per channel");
            Some((Numbers::of(gamma)?, 0, 0, m))
        }
        Some(Gate::Samples { table, row, at }) => {
            let ([rows, stride], samples) = (table.dims(), shape[0]);
            assert!(row + samples <= rows && at + n <= stride, "gates {row}, {at} of {rows} x {stride}");
            Some((Numbers::of(table)?, row * stride + at, stride, m / samples))
        }
    };
    let gates = gates.as_ref().map(|(table, start, stride, rows)| loops::Gates {
        table,
        start: *start,
        stride: *stride,
        rows: *rows,
    });
    let (bias, residual) = (bias.as_deref(), old.as_deref());
    let mut y = room(m * n);
    loops::linear(&loops::Linear { weight, k, n, bias, activation, gates, residual }, &input, &mut y);
    shape[D - 1] = n;
    Some(tensor(y, shape, &x.device()))
}

/// [`norm`](super::norm()) for tensors on the CPU.
///
/// # Panics
/// If the shapes do not fit together.
pub fn norm<const D: usize>(x: &Tensor<D>, norm: Norm<'_>, eps: f64, modulation: Modulation<'_>) -> Option<Tensor<D>> {
    let shape = x.dims();
    let width = shape[D - 1];
    let all: usize = shape[..D - 1].iter().product();
    if width == 0 || all == 0 {
        return None;
    }
    let rows = if D > 2 { shape[D - 2] } else { all };
    let factors = match norm {
        Norm::Layer => None,
        Norm::Rms(weight) => Some(Numbers::of(weight)?),
    };
    let tables = match modulation {
        Modulation::None => [None, None],
        Modulation::Affine { weight, bias } => {
            assert_eq!((weight.dims(), bias.dims()), ([width], [width]), "affine parameters");
            [Some(Numbers::of(weight)?), Some(Numbers::of(bias)?)]
        }
        Modulation::Samples { table, .. } => [Some(Numbers::of(table)?), None],
        Modulation::Latents { table, .. } => [Some(Numbers::of(table)?), None],
    };
    let modulation = match (modulation, tables.each_ref().map(Option::as_deref)) {
        (Modulation::Affine { .. }, [Some(weight), Some(bias)]) => loops::Modulation::Affine { weight, bias },
        (Modulation::Samples { table: of, row, at }, [Some(table), _]) => {
            let [count, stride] = of.dims();
            assert!(row + shape[0] <= count && at + 2 * width <= stride, "part {row}, {at} of {count} x {stride}");
            loops::Modulation::Samples { table, start: row * stride + at, stride, rows }
        }
        (Modulation::Latents { table: of, at }, [Some(table), _]) => {
            let [samples, latents, stride] = of.dims();
            assert!(samples == shape[0] && latents <= rows && at + 2 * width <= stride, "{:?}", of.dims());
            loops::Modulation::Latents { table, start: at, stride, rows, latents }
        }
        _ => loops::Modulation::None,
    };
    let mut y = Numbers::of(x)?.to_vec();
    let (centred, factors) = (factors.is_none(), factors.as_deref());
    loops::norm(&loops::Norm { width, centred, eps: eps as f32, factors, modulation }, &mut y);
    Some(tensor(y, shape, &x.device()))
}

/// [`attention`](super::attention()) for tensors on the CPU.
///
/// # Panics
/// If the rotary tables do not fit.
pub fn attention(
    qkv: &Tensor<3>,
    heads: usize,
    norm: HeadNorm<'_>,
    rotary: Option<(&(Tensor<3>, Tensor<3>), usize)>,
) -> Option<Tensor<3>> {
    let [batch, tokens, triple] = qkv.dims();
    let (width, dim) = (triple / 3, triple / (3 * heads));
    if batch * tokens * dim == 0 {
        return None;
    }
    let input = Numbers::of(qkv)?;
    let (weights, biases, eps) = match norm {
        HeadNorm::None => (None, None, 0.0),
        HeadNorm::Layer([wq, bq, wk, bk], eps) => {
            (Some([Numbers::of(wq)?, Numbers::of(wk)?]), Some([Numbers::of(bq)?, Numbers::of(bk)?]), eps)
        }
        HeadNorm::Rms([wq, wk], eps) => (Some([Numbers::of(wq)?, Numbers::of(wk)?]), None, eps),
    };
    let norms = weights.as_ref().map(|weights| loops::Norms {
        weights: weights.each_ref().map(Deref::deref),
        biases: biases.as_ref().map(|biases| biases.each_ref().map(Deref::deref)),
        eps: eps as f32,
    });
    let tables = match rotary {
        Some(((cos, sin), first)) => {
            let [tables, patches, half] = cos.dims();
            assert!(2 * half == dim && first + patches <= tokens && [1, heads].contains(&tables), "rotary table");
            Some((Numbers::of(cos)?, Numbers::of(sin)?, first, patches, tables > 1))
        }
        None => None,
    };
    let turns = tables.as_ref().map(|(cos, sin, first, patches, each)| loops::Turns {
        cos,
        sin,
        first: *first,
        patches: *patches,
        each: *each,
    });
    let mut y = room(batch * tokens * width);
    loops::attention(&loops::Heads { qkv: &input, tokens, width, dim, norms, turns }, &mut y);
    Some(tensor(y, [batch, tokens, width], &qkv.device()))
}

/// [`patch_rows`](super::patch_rows()) for pictures on the CPU whose sides are whole patches.
pub fn patch_rows(image: &Tensor<4>, side: usize) -> Option<Tensor<2>> {
    let [_, channels, height, width] = image.dims();
    let pixels = Numbers::of(image)?;
    let mut rows = Vec::with_capacity(pixels.len());
    for picture in pixels.chunks_exact(channels * height * width) {
        for corner in (0..height).step_by(side).flat_map(|y| (0..width).step_by(side).map(move |x| y * width + x)) {
            for plane in picture.chunks_exact(height * width) {
                for line in plane[corner..].chunks(width).take(side) {
                    rows.extend_from_slice(&line[..side]);
                }
            }
        }
    }
    let across = channels * side * side;
    Some(tensor(rows, [pixels.len() / across, across], &image.device()))
}
