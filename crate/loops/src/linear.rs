//! Linear layers with what follows them.

use pulp::{Arch, Simd, WithSimd};

use crate::functions::{Activation, activate, add, scale};
use crate::panels::Panels;
use crate::product::{ROWS, columns, multiply, panel, write_panel, write_row, write_tiles};
use crate::threads::by_rows;

/// `residual + gate * activation(x weight + bias)`
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// `[K, N]`
    pub weight: Weight<'a>,
    /// Numbers of a row of the input, `K`.
    pub k: usize,
    /// Numbers of a row of the output, `N`.
    pub n: usize,
    /// `[N]`
    pub bias: Option<&'a [f32]>,
    /// What the sums go through.
    pub activation: Activation,
    /// Factors of what is added to the residual.
    pub gates: Option<Gates<'a>>,
    /// `[M, N]`, or fewer rows, which then come again and again.
    pub residual: Option<&'a [f32]>,
}

/// A matrix, `[K, N]`.
#[derive(Clone, Copy, Debug)]
pub enum Weight<'a> {
    /// Row after row.
    Rows(&'a [f32]),
    /// As the loops read it.
    Panels(&'a Panels),
}

/// Where the gates of a row stand.
#[derive(Clone, Copy, Debug)]
pub struct Gates<'a> {
    /// A table with the gates of several samples.
    pub table: &'a [f32],
    /// Where the first sample's stand.
    pub start: usize,
    /// From one sample's to the next one's.
    pub stride: usize,
    /// Rows of a sample.
    pub rows: usize,
}

/// Puts the rows of `x` `[M, K]` through the layer, into `y` `[M, N]`.
///
/// # Panics
/// If a slice is too short, or `y` has another number of rows than `x`.
pub fn linear(layer: &Linear<'_>, x: &[f32], y: &mut [f32]) {
    let Linear { weight, k, n, bias, .. } = *layer;
    assert!(k > 0 && n > 0 && x.len().is_multiple_of(k) && x.len() / k * n == y.len(), "rows of {k} and of {n}");
    let fits = match weight {
        Weight::Rows(weight) => weight.len() == k * n,
        Weight::Panels(panels) => panels.dims() == [k, n],
    };
    assert!(fits && bias.is_none_or(|bias| bias.len() == n), "a layer of {k} x {n}");
    let arch = Arch::new();
    by_rows(y, n, ROWS, x.len() * n, |first, y| {
        let x = &x[first * k..][..y.len() / n * k];
        arch.dispatch(Rows { layer, first, x, y });
    });
}

/// Some rows, from row `first` of all on.
struct Rows<'a> {
    layer: &'a Linear<'a>,
    first: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, first, x, y } = self;
        let Linear { weight, k, n, .. } = *layer;
        let mut tiles = Vec::new();
        write_tiles(x, k, &mut tiles);
        let mut room = Vec::new();
        for column in (0..n).step_by(columns::<S>()) {
            let width = columns::<S>().min(n - column);
            let panel = match weight {
                Weight::Panels(panels) => panels.panel::<S>(column),
                Weight::Rows(weight) => {
                    let panel = panel::<S>(&mut room, k);
                    write_panel::<S>(weight, n, n, column, panel);
                    panel
                }
            };
            for (tile, y) in tiles.chunks_exact(ROWS * k).zip(y.chunks_mut(ROWS * n)) {
                let sums = multiply(simd, tile, panel);
                for (sums, y) in sums.iter().zip(y.chunks_exact_mut(n)) {
                    write_row::<S>(sums, &mut y[column..column + width]);
                }
            }
        }
        for (row, y) in y.chunks_exact_mut(n).enumerate() {
            layer.finish(first + row, y);
        }
    }
}

impl Linear<'_> {
    /// What follows the sums of `row`.
    #[inline(always)]
    fn finish(&self, row: usize, y: &mut [f32]) {
        if let Some(bias) = self.bias {
            add(y, bias);
        }
        activate(self.activation, y);
        if let Some(gates) = self.gates {
            scale(y, &gates.table[gates.start + row / gates.rows * gates.stride..][..self.n]);
        }
        if let Some(residual) = self.residual {
            add(y, &residual[row * self.n % residual.len()..][..self.n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, numbers};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Larger ones are shared among threads.
        #[test]
        fn any_size_gives_the_sums_of_its_products(m in 1_usize..90, k in 1_usize..120, n in 1_usize..150) {
            let (x, weight, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let (residual, table) = (numbers(m * n, 4), numbers(m * 2 * n, 5));
            let gates = Gates { table: &table, start: n, stride: 2 * n, rows: 1 };
            let panels = Panels::new(&weight, n);
            let bare = Linear {
                weight: Weight::Rows(&weight), k, n, bias: None, activation: Activation::Identity, gates: None, residual: None,
            };
            let whole = Linear { bias: Some(&bias), gates: Some(gates), residual: Some(&residual), ..bare };
            for layer in [bare, whole, Linear { weight: Weight::Panels(&panels), ..whole }] {
                let mut y = vec![f32::NAN; m * n];
                linear(&layer, &x, &mut y);
                for (at, y) in y.iter().enumerate() {
                    let (row, column) = (at / n, at % n);
                    let sum: f64 = (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(weight[i * n + column])).sum();
                    let want = match layer.gates {
                        None => sum,
                        Some(_) => f64::from(residual[at])
                            + f64::from(table[(2 * row + 1) * n + column]) * (sum + f64::from(bias[column])),
                    };
                    prop_assert!(close(*y, want), "{at} of {m} x {k} x {n}: {y}, not {want}");
                }
            }
        }
    }

    #[test]
    fn a_short_residual_comes_again_and_again() {
        let weight = [1.0, 0.0, 0.0, 1.0];
        let layer = Linear {
            weight: Weight::Rows(&weight),
            k: 2,
            n: 2,
            bias: None,
            activation: Activation::Identity,
            gates: None,
            residual: Some(&[10.0, 20.0, 30.0, 40.0]),
        };
        let mut y = [0.0; 8];
        linear(&layer, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &mut y);
        assert_eq!(y, [11.0, 22.0, 33.0, 44.0, 15.0, 26.0, 37.0, 48.0]);
    }

    #[test]
    fn numbers_that_are_none_stay_in_their_row() {
        let weight = numbers(8 * 9, 1);
        let mut x = numbers(6 * 8, 2);
        (x[8 + 3], x[3 * 8]) = (f32::NAN, f32::INFINITY);
        let layer = Linear {
            weight: Weight::Rows(&weight),
            k: 8,
            n: 9,
            bias: None,
            activation: Activation::GeluExact,
            gates: None,
            residual: None,
        };
        let mut y = [0.0; 6 * 9];
        linear(&layer, &x, &mut y);
        for (row, values) in y.chunks(9).enumerate() {
            let finite = values.iter().all(|v| v.is_finite());
            assert_eq!(finite, ![1, 3].contains(&row), "row {row}: {values:?}");
        }
    }
}
