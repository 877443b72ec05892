//! Layer norm and RMS norm with their scale and shift.

use pulp::{Arch, Simd, WithSimd};

use crate::functions::{modulate, normalize, scale};
use crate::threads::by_rows;

/// What a number costs, of the order of so many multiplications.
const WORK: usize = 8;

/// A norm over rows and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Numbers of a row, `D`.
    pub width: usize,
    /// The mean is subtracted first: layer norm. Otherwise RMS norm.
    pub centred: bool,
    /// Added to the mean square.
    pub eps: f32,
    /// Factors of an RMS norm, `[D]`.
    pub factors: Option<&'a [f32]>,
    /// What comes after.
    pub modulation: Modulation<'a>,
}

/// Where the factors and summands of a row stand.
#[derive(Clone, Copy, Debug)]
pub enum Modulation<'a> {
    /// None.
    None,
    /// `n * weight + bias`, `[D]` each.
    Affine {
        /// Factors.
        weight: &'a [f32],
        /// Summands.
        bias: &'a [f32],
    },
    /// `n * (1 + scale) + shift`, for each sample; shift and scale stand one after the other.
    Samples {
        /// A table of modulations.
        table: &'a [f32],
        /// Where the first sample's shift stands.
        start: usize,
        /// From one sample's to the next one's.
        stride: usize,
        /// Rows of a sample.
        rows: usize,
    },
    /// `n * scale + shift` for the last rows of each sample, which have a shift and a scale each.
    Latents {
        /// A table of modulations, a row of it for each of those.
        table: &'a [f32],
        /// Where the first shift stands.
        start: usize,
        /// From one to the next.
        stride: usize,
        /// Rows of a sample.
        rows: usize,
        /// How many of them, at the end, are modulated.
        latents: usize,
    },
}

/// Does it to every row of `y` `[M, D]`, in place.
///
/// # Panics
/// If a slice is too short.
pub fn norm(norm: &Norm<'_>, y: &mut [f32]) {
    assert!(norm.width > 0 && y.len().is_multiple_of(norm.width), "rows of {}", norm.width);
    let (arch, work) = (Arch::new(), WORK * y.len());
    by_rows(y, norm.width, 1, work, |first, y| arch.dispatch(Rows { norm, first, y }));
}

/// Some rows in place, from row `first` of all on.
struct Rows<'a> {
    norm: &'a Norm<'a>,
    first: usize,
    y: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Norm { width, centred, eps, factors, modulation } = *self.norm;
        for (row, y) in self.y.chunks_exact_mut(width).enumerate() {
            normalize(y, centred, eps);
            if let Some(factors) = factors {
                scale(y, factors);
            }
            if let Some((base, factors, summands)) = modulation.of_row(self.first + row, width) {
                modulate(y, base, factors, summands);
            }
        }
    }
}

impl<'a> Modulation<'a> {
    /// What is added to the factors of a row, the factors, the summands.
    fn of_row(self, row: usize, width: usize) -> Option<(f32, &'a [f32], &'a [f32])> {
        let (base, table, shift) = match self {
            Self::None => return None,
            Self::Affine { weight, bias } => return Some((0.0, weight, bias)),
            Self::Samples { table, start, stride, rows } => (1.0, table, start + row / rows * stride),
            Self::Latents { table, start, stride, rows, latents } => {
                let latent = (row % rows).checked_sub(rows - latents)?;
                (0.0, table, start + (row / rows * latents + latent) * stride)
            }
        };
        let both = &table[shift..][..2 * width];
        Some((base, &both[width..], &both[..width]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, numbers};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_those_of_the_formula(rows in 1_usize..9, width in 2_usize..70, centred in any::<bool>()) {
            let x = numbers(rows * width, 1);
            let (weight, bias) = (numbers(width, 2), numbers(width, 3));
            let modulation = Modulation::Affine { weight: &weight, bias: &bias };
            let mut y = x.clone();
            norm(&Norm { width, centred, eps: 1e-3, factors: None, modulation }, &mut y);
            for (row, (x, y)) in x.chunks(width).zip(y.chunks(width)).enumerate() {
                let count = width as f64;
                let mean = if centred { x.iter().map(|x| f64::from(*x)).sum::<f64>() / count } else { 0.0 };
                let square = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
                for (at, (x, y)) in x.iter().zip(y).enumerate() {
                    let normed = (f64::from(*x) - mean) / (square + f64::from(1e-3_f32)).sqrt();
                    let want = normed * f64::from(weight[at]) + f64::from(bias[at]);
                    prop_assert!(close(*y, want), "{at} of row {row}: {y}, not {want}");
                }
            }
        }
    }

    #[test]
    fn samples_and_latents_have_their_own_modulations() {
        let plain = Norm { width: 2, centred: true, eps: 0.0, factors: None, modulation: Modulation::None };
        let mut y = [1.0, 3.0].repeat(4);
        norm(&plain, &mut y);
        assert_eq!(y, [-1.0, 1.0].repeat(4));
        // Shifts 10 and 20, scales 1 and 2, each after two numbers that are not asked for.
        let table = [0.0, 0.0, 10.0, 10.0, 1.0, 1.0, 0.0, 0.0, 20.0, 20.0, 2.0, 2.0];
        let mut y = [1.0, 3.0].repeat(4);
        norm(
            &Norm { modulation: Modulation::Samples { table: &table, start: 2, stride: 6, rows: 2 }, ..plain },
            &mut y,
        );
        assert_eq!(y, [8.0, 12.0, 8.0, 12.0, 17.0, 23.0, 17.0, 23.0]);
        let mut y = [1.0, 3.0].repeat(4);
        let modulation = Modulation::Latents { table: &table, start: 2, stride: 6, rows: 2, latents: 1 };
        norm(&Norm { modulation, ..plain }, &mut y);
        assert_eq!(y, [-1.0, 1.0, 9.0, 11.0, -1.0, 1.0, 18.0, 22.0]);
    }
}
