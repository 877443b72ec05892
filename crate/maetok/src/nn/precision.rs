//! In which numbers the large matrix products of the blocks are computed.
//!
//! Mixed precision after Micikevicius et al. 2018, arXiv 1710.03740: the factors of a product are rounded to bfloat16,
//! forward and backward, and so is its result, before it becomes f32 again; within it, sums are the device's, f32 where
//! we looked. Weights, norms, softmax, losses and AdamW stay f32, while Muon's iteration, made of large products, follows
//! the choice. Bfloat16 has the exponents of f32, so the loss needs no scaling. Embeddings, modulations and the last
//! layers are small and stay f32 as well.
//!
//! The choice belongs to a thread and a piece of work ([`within`]), like PyTorch's autocast, so that networks need not
//! know about training. A backward pass follows the forward pass it belongs to.

use std::cell::Cell;

use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// Numbers of matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of fraction.
    #[default]
    F32,
    /// 8 bits of fraction in factors and results: faster where the processor has instructions for it.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Does `work` with products in `precision`, on this thread; afterwards everything is as it was.
pub fn within<T>(precision: Precision, work: impl FnOnce() -> T) -> T {
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(precision));
    work()
}

/// `layer` applied to `[.., D]`, in the current precision; the result comes back as f32, its bias is added in f32.
pub(super) fn product<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    if CURRENT.get() == Precision::F32 {
        return layer.forward(x);
    }
    let y = linear(x.cast(FloatDType::BF16), layer.weight.val().cast(FloatDType::BF16), None).cast(FloatDType::F32);
    match &layer.bias {
        Some(bias) => y + bias.val().unsqueeze(),
        None => y,
    }
}

/// Matrix product of the last two axes, in the current precision; the result comes back as f32.
pub(crate) fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    match CURRENT.get() {
        Precision::F32 => a.matmul(b),
        Precision::Bf16 => a.cast(FloatDType::BF16).matmul(b.cast(FloatDType::BF16)).cast(FloatDType::F32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Distribution};

    use crate::nn::linear_xavier;

    /// Rounding a factor changes it by at most 1/256 of itself, and the result is rounded once more.
    const ROUNDING: f32 = 1.0 / 64.0;

    fn largest<const D: usize>(x: Tensor<D>) -> f32 {
        x.abs().max().into_scalar::<f32>()
    }

    #[test]
    fn products_in_bf16_are_near_those_in_f32_and_come_back_in_f32() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 5, 32], Distribution::Normal(0.0, 1.0), &device);
        let y = Tensor::<3>::random([2, 32, 7], Distribution::Normal(0.0, 1.0), &device);
        let layer = linear_xavier(32, 16, &device);
        let both = || (product(&layer, x.clone()), matmul(x.clone(), y.clone()));
        let (exact, rounded) = (both(), within(Precision::Bf16, both));
        assert_eq!((rounded.0.dtype(), rounded.1.dtype()), (DType::F32, DType::F32));
        for (difference, size) in [
            (largest(exact.0.clone() - rounded.0), largest(exact.0)),
            (largest(exact.1.clone() - rounded.1), largest(exact.1)),
        ] {
            assert!(difference > 0.0, "nothing was rounded");
            assert!(difference < ROUNDING * size, "{difference} of {size}");
        }
    }

    #[test]
    fn weights_keep_gradients_in_f32() {
        let device = Device::flex().autodiff();
        let layer = linear_xavier(8, 4, &device);
        let x = Tensor::<2>::random([3, 8], Distribution::Normal(0.0, 1.0), &device);
        let y = within(Precision::Bf16, || product(&layer, x.clone()));
        let gradients = y.sum().backward();
        let got = layer.weight.val().grad(&gradients).expect("a gradient by the weights");
        assert_eq!(got.dtype(), DType::F32);
        // The derivative of the sum by a weight is the sum of what the weight was multiplied by.
        let want = x.inner().sum_dim(0).transpose().repeat_dim(1, 4); // [8, 4]
        let difference = largest(got - want.clone());
        assert!(difference < ROUNDING * largest(want), "{difference}");
    }

    #[test]
    fn the_choice_ends_with_its_work_even_in_a_panic() {
        let inside = || within(Precision::Bf16, || CURRENT.get());
        assert_eq!((inside(), CURRENT.get()), (Precision::Bf16, Precision::F32));
        let panicked = std::panic::catch_unwind(|| within(Precision::Bf16, || panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(CURRENT.get(), Precision::F32);
        let other = within(Precision::Bf16, || std::thread::spawn(|| CURRENT.get()).join().unwrap());
        assert_eq!(other, Precision::F32, "another thread");
    }
}
