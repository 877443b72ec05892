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
) -> (f64, Values, GradientsParams)
where
    M: Module,
    P: Send,
{
    let share = 1.0 / parts.len() as f64;
    let one = |model: &M, part: P| {
        let (loss, parts) = loss(model, part);
        let loss = loss * share;
        let value = number(loss.clone());
        let values: Values = parts.into_iter().map(|(name, part)| (name, number(part) * share)).collect();
        (value, values, GradientsParams::from_grads(loss.backward(), model))
    };
    let mut parts = parts.into_iter();
    let first = parts.next().expect("a batch has at least one part");
    let forks: Vec<(M, P)> = parts.map(|part| (model.clone().fork(device), part)).collect();
    if forks.is_empty() {
        return one(model, first);
    }
    let results = thread::scope(|scope| {
        let one = &one;
        let others: Vec<_> = forks.into_iter().map(|(fork, part)| scope.spawn(move || one(&fork, part))).collect();
        let mut results = vec![one(model, first)];
        results.extend(others.into_iter().map(|other| other.join().expect("a training thread panicked")));
        results
    });
    let mut sum = GradientsAccumulator::new();
    let (mut total, mut named) = (0.0, Values::new());
    for (value, values, grads) in results {
        total += value;
        for (name, value) in values {
            match named.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => named.push((name, value)),
            }
        }
        sum.accumulate(model, grads);
    }
    (total, named, sum.grads())
}

fn number(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}
