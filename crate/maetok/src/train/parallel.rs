//! Gradients of one batch by several devices, and on each by several threads, each with a part of it.
//!
//! Burn's CPU backend spreads matrix products over the cores but computes element by element on one. Two halves of a
//! batch on two threads keep two cores busy all the time. The result does not depend on which thread or device is
//! faster: the parts are added in their order.

use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use super::devices::Devices;
use crate::{Error, Result};

/// Named numbers of a part, beside its loss.
pub type Values = Vec<(&'static str, f64)>;

/// Loss, its named parts, and the gradients of `model`, averaged over `parts` of equal size, on the first device.
///
/// The parts go to the devices in order, equally many to each. `loss` gets a copy of the model with an autodiff graph of
/// its own, a part, and the number of the device that both are for.
///
/// # Errors
/// [`Error::Training`] if another device than the first did not do its part.
///
/// # Panics
/// If the parts are not as many for every device and at least one, or if a thread of the first device panics.
pub fn gradients<M, P>(
    model: &M,
    parts: Vec<P>,
    devices: &Devices,
    loss: impl Fn(&M, P, usize) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>) + Sync,
) -> Result<(f64, Values, GradientsParams)>
where
    M: Module,
    P: Send,
{
    assert!(!parts.is_empty() && parts.len().is_multiple_of(devices.count()), "{} parts", parts.len());
    let share = 1.0 / parts.len() as f64;
    let each = parts.len() / devices.count();
    let home = devices.main().clone().inner();
    let one = |model: &M, part: P, number: usize| {
        let (loss, parts) = loss(model, part, number);
        let loss = loss * share;
        let value = number_of(loss.clone());
        let values: Values = parts.into_iter().map(|(name, part)| (name, number_of(part) * share)).collect();
        let grads = GradientsParams::from_grads(loss.backward(), model);
        (value, values, if number == 0 { grads } else { grads.to_device(&home, model) })
    };
    // Sent to each device once, however many of its threads use it.
    let copies: Vec<M> = devices.all()[1..].iter().map(|device| model.clone().fork(device)).collect();
    let mut parts = parts.into_iter().enumerate().map(|(at, part)| (at / each, part));
    let (_, first) = parts.next().expect("a batch has at least one part");
    let fork = |number: usize| match number {
        0 => model.clone().fork(devices.main()),
        _ => copies[number - 1].clone().fork(&devices.all()[number]),
    };
    let forks: Vec<(usize, M, P)> = parts.map(|(number, part)| (number, fork(number), part)).collect();
    if forks.is_empty() {
        return Ok(one(model, first, 0));
    }
    let results = thread::scope(|scope| {
        let one = &one;
        let start = |(number, fork, part)| (number, scope.spawn(move || one(&fork, part, number)));
        let others: Vec<_> = forks.into_iter().map(start).collect();
        let mut results = vec![one(model, first, 0)];
        for (number, other) in others {
            results.push(match (other.join(), number) {
                (Ok(result), _) => result,
                (Err(_), 0) => panic!("a training thread panicked"),
                // What is on another machine may go away at any time.
                (Err(_), _) => return Err(lost(number, devices.count())),
            });
        }
        Ok(results)
    })?;
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
    Ok((total, named, sum.grads()))
}

fn lost(number: usize, count: usize) -> Error {
    Error::training(format!(
        "Device {} of {count} did not do its part of an update; when it is there again, go on with --resume",
        number + 1
    ))
}

fn number_of(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}
