//! Products of f64 matrices on the CPU device, which spreads them over the cores and is many times faster than nalgebra
//! without its `std` feature.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nalgebra::DMatrix;

/// `a b`.
///
/// # Panics
/// If the sizes do not fit.
pub(super) fn product(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    assert_eq!(a.ncols(), b.nrows(), "a product of {:?} and {:?}", a.shape(), b.shape());
    let device = Device::flex();
    // nalgebra keeps columns together: a row-major reader sees the transposes, and (a b)ᵀ = bᵀ aᵀ.
    let transposed = |m: &DMatrix<f64>| {
        let data = TensorData::new(m.as_slice().to_vec(), [m.ncols(), m.nrows()]);
        Tensor::<2>::from_data(data, (&device, DType::F64))
    };
    let values = transposed(b).matmul(transposed(a)).into_data().try_to_vec::<f64>().expect("f64");
    DMatrix::from_vec(a.nrows(), b.ncols(), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn values_are_nalgebras_to_the_last_digits() {
        let mut rng = Rng::new(1, 0);
        for (rows, inner, columns) in [(1, 1, 1), (3, 5, 2), (40, 33, 57), (1, 9, 8)] {
            let a = DMatrix::from_vec(rows, inner, rng.normals(rows * inner));
            let b = DMatrix::from_vec(inner, columns, rng.normals(inner * columns));
            let off = (product(&a, &b) - &a * &b).amax();
            assert!(off < 1e-12, "{rows} x {inner} x {columns}: {off}");
        }
    }
}
