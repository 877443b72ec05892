//! The roofs of an adapter: how many multiply-adds and how many bytes a second it can do at most.

use burn::tensor::Tensor;
use maetok_shaders::grid;
use maetok_shaders::probe::{COPY, Copy, FLOP_PER_ROUND, FMA, Fma};

use super::launch::{Buffer, Slot, launch};

/// `invocations` lanes of `rounds` rounds of multiply-adds, one by one or as matrices times vectors (four rounds at a
/// time); adapters differ in which is faster. `near` is any tensor on the device.
///
/// Returns one number per lane, and the number of floating-point operations; `None` where no kernel runs.
pub fn multiply_adds(near: &Tensor<1>, invocations: u32, rounds: u32, matrix: bool) -> Option<(Tensor<1>, u64)> {
    let y = Buffer::of(near)?.fresh([invocations as usize]);
    let params = Fma { count: invocations, rounds, factor: 0.999 };
    launch(
        &FMA,
        &[("MATRIX", if matrix { "true" } else { "false" })],
        grid(u64::from(invocations.div_ceil(64))),
        &[Slot::Out(&y)],
        &params.words(),
    );
    Some((y.tensor(), u64::from(invocations) * u64::from(rounds) * FLOP_PER_ROUND))
}

/// A copy of `x`, whose length is a multiple of four; `None` where no kernel runs.
pub fn copied(x: &Tensor<1>) -> Option<Tensor<1>> {
    let x = Buffer::of(x)?;
    let count = super::linear::number(x.len() / 4)?;
    let y = x.fresh([x.len()]);
    launch(&COPY, &[], grid(u64::from(count.div_ceil(64))), &[Slot::In(&x), Slot::Out(&y)], &Copy { count }.words());
    Some(y.tensor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use maetok_tests::devices;

    #[test]
    fn a_copy_is_equal_and_multiply_adds_are_counted() {
        for on in devices() {
            let x = Tensor::<1>::from_floats([1.0, -2.0, 3.0, 0.5, 7.0, 8.0, 9.0, -1.0], &on.device);
            let (copy, adds) = (copied(&x), multiply_adds(&x, 128, 4, true));
            if on.device == Device::flex() {
                assert!(copy.is_none() && adds.is_none(), "no kernel runs on the CPU");
                continue;
            }
            assert_eq!(copy.unwrap().into_data(), x.into_data());
            let (numbers, flop) = adds.unwrap();
            assert_eq!((numbers.dims(), flop), ([128], 128 * 4 * 128));
        }
    }
}
