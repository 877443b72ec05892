//! A matrix laid out as it is read, once for many products.

use pulp::{Arch, Simd, WithSimd};

use crate::product::{aligned, columns, write_panel};

/// A matrix in panels: as many columns as a tile has stand side by side, then the next ones; the last are filled up with
/// zeros. How many that is depends on the machine, so panels do not leave it.
///
/// Where rows are few, most of a product's time goes into fetching the matrix. Row after row, every line of it lies in
/// another page, which no processor fetches ahead; in panels it is one stream.
#[derive(Debug)]
pub struct Panels {
    room: Vec<f32>,
    start: usize,
    k: usize,
    n: usize,
}

impl Panels {
    /// Of a matrix with rows of `n` numbers.
    ///
    /// # Panics
    /// If `n` is 0 or the rows are not whole.
    pub fn new(matrix: &[f32], n: usize) -> Self {
        assert!(n > 0 && matrix.len().is_multiple_of(n), "{} numbers in rows of {n}", matrix.len());
        Arch::new().dispatch(Write { matrix, n })
    }

    /// `[K, N]`
    pub fn dims(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    /// Row after row again, `[K, N]`.
    pub fn rows(&self) -> Vec<f32> {
        let across = self.across();
        let mut rows = vec![0.0; self.k * self.n];
        for (row, out) in rows.chunks_exact_mut(self.n).enumerate() {
            for (panel, out) in out.chunks_mut(across).enumerate() {
                out.copy_from_slice(&self.numbers()[(panel * self.k + row) * across..][..out.len()]);
            }
        }
        rows
    }

    /// The panel that begins with a column.
    #[inline(always)]
    pub(crate) fn panel<S: Simd>(&self, column: usize) -> &[S::f32s] {
        let across = columns::<S>();
        S::as_simd_f32s(&self.numbers()[column / across * self.k * across..][..self.k * across]).0
    }

    fn numbers(&self) -> &[f32] {
        &self.room[self.start..]
    }

    /// Columns of a panel.
    fn across(&self) -> usize {
        struct Columns;
        impl WithSimd for Columns {
            type Output = usize;

            fn with_simd<S: Simd>(self, _: S) -> usize {
                columns::<S>()
            }
        }
        Arch::new().dispatch(Columns)
    }
}

struct Write<'a> {
    matrix: &'a [f32],
    n: usize,
}

impl WithSimd for Write<'_> {
    type Output = Panels;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Panels {
        let Self { matrix, n } = self;
        let (k, across) = (matrix.len() / n, columns::<S>());
        let mut room = Vec::new();
        let numbers = aligned(&mut room, n.div_ceil(across) * k * across);
        for (panel, out) in numbers.chunks_exact_mut((k * across).max(1)).enumerate() {
            write_panel::<S>(matrix, n, n, panel * across, S::as_mut_simd_f32s(out).0);
        }
        let start = numbers.as_ptr().addr() - room.as_ptr().addr();
        Panels { room, start: start / size_of::<f32>(), k, n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::numbers;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(k in 0_usize..40, n in 1_usize..150) {
            let matrix = numbers(k * n, 1);
            let panels = Panels::new(&matrix, n);
            prop_assert_eq!(panels.dims(), [k, n]);
            prop_assert_eq!(panels.rows(), matrix);
        }
    }
}
