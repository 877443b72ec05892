//! Gradients of one batch by several threads, each with a part of it.
//!
//! Burn's CPU backend spreads matrix products over the cores but computes element by element on one. Two halves of a
//! batch on two threads keep two cores busy all the time. The result does not depend on which thread is faster: the
//! parts are added in their order.

use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// Named numbers of a part, beside its loss.
pub type Values = Vec<(&'static str, f64)>;

/// Loss, its named parts, and gradients: of a part, already multiplied by its [share](Crew::share), or of a batch.
pub type Slope = (f64, Values, GradientsParams);

/// A model for every part of a batch, each with an autodiff graph of its own.
pub struct Crew<'a, M> {
    model: &'a M,
    forks: Vec<M>,
}

impl<'a, M: Module + Sync> Crew<'a, M> {
    /// Copies of `model` on `device` for so many parts.
    ///
    /// # Panics
    /// If there is no part.
    pub fn new(model: &'a M, parts: usize, device: &Device) -> Self {
        assert!(parts > 0, "a batch has at least one part");
        Self { model, forks: (1..parts).map(|_| model.clone().fork(device)).collect() }
    }

    /// What a part, one of equally large ones, counts in the batch.
    pub fn share(&self) -> f64 {
        1.0 / (1 + self.forks.len()) as f64
    }

    /// Does `work` with every part and its model, side by side; returns what came out in the order of the parts.
    ///
    /// # Panics
    /// If there are not as many parts as models, or if a thread panics.
    pub fn each<P: Send, R: Send>(&self, parts: Vec<P>, work: impl Fn(&M, P) -> R + Sync) -> Vec<R> {
        assert_eq!(parts.len(), 1 + self.forks.len(), "a model for every part");
        let mut parts = parts.into_iter();
        let first = parts.next().expect("there is a part for the model itself");
        if self.forks.is_empty() {
            return vec![work(self.model, first)];
        }
        thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> =
                self.forks.iter().zip(parts).map(|(fork, part)| scope.spawn(move || work(fork, part))).collect();
            let mut results = vec![work(self.model, first)];
            results.extend(others.into_iter().map(|other| other.join().expect("a training thread panicked")));
            results
        })
    }

    /// Adds the parts up.
    pub fn sum(&self, parts: Vec<Slope>) -> Slope {
        if self.forks.is_empty() {
            return parts.into_iter().next().expect("a batch has at least one part");
        }
        let mut sum = GradientsAccumulator::new();
        let (mut total, mut named) = (0.0, Values::new());
        for (value, values, grads) in parts {
            total += value;
            for (name, value) in values {
                match named.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += value,
                    None => named.push((name, value)),
                }
            }
            sum.accumulate(self.model, grads);
        }
        (total, named, sum.grads())
    }
}

/// Loss, its named parts, and the gradients of `model`, averaged over `parts` of equal size.
///
/// `loss` gets a copy of the model with an autodiff graph of its own.
///
/// # Panics
/// If `parts` is empty, or if a thread panics.
pub fn gradients<M, P>(
    model: &M,
    parts: Vec<P>,
    device: &Device,
    loss: impl Fn(&M, P) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>) + Sync,
) -> Slope
where
    M: Module + Sync,
    P: Send,
{
    let crew = Crew::new(model, parts.len(), device);
    let share = crew.share();
    let slopes = crew.each(parts, |model, part| {
        let (loss, parts) = loss(model, part);
        let loss = loss * share;
        let value = number(loss.clone());
        let values = parts.into_iter().map(|(name, part)| (name, number(part) * share)).collect();
        (value, values, GradientsParams::from_grads(loss.backward(), model))
    });
    crew.sum(slopes)
}

/// Reads a tensor of one value back.
pub fn number(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}
