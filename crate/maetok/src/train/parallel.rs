//! Gradients of one batch by several devices, and on each by several threads, each with a part of it.
//!
//! Burn's CPU backend spreads matrix products over the cores but computes element by element on one. Two halves of a
//! batch on two threads keep two cores busy all the time. The result does not depend on which thread or device is
//! faster: the parts are added in their order.

use std::panic::{self, AssertUnwindSafe};
use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use super::devices::Devices;
use crate::{Error, Result};

/// Named numbers of a part, beside its loss.
pub type Values = Vec<(&'static str, f64)>;

/// Loss, its named parts, and gradients: of a part, already multiplied by its [share](Crew::share), or of a batch.
pub type Slope = (f64, Values, GradientsParams);

/// A model for every part of a batch, each with an autodiff graph of its own.
///
/// The parts go to the devices in order, equally many to each.
pub struct Crew<'a, M> {
    model: &'a M,
    /// With the numbers of their devices.
    forks: Vec<(usize, M)>,
    devices: &'a Devices,
}

impl<'a, M: Module + Sync> Crew<'a, M> {
    /// Copies of `model`, which is on the first of the `devices`, for so many parts.
    ///
    /// # Panics
    /// If the parts are not as many for every device, and at least one.
    pub fn new(model: &'a M, parts: usize, devices: &'a Devices) -> Self {
        assert!(parts > 0 && parts.is_multiple_of(devices.count()), "{parts} parts for {} devices", devices.count());
        let each = parts / devices.count();
        // Sent to each device once, however many of its threads use it.
        let copies: Vec<M> = devices.all()[1..].iter().map(|device| model.clone().fork(device)).collect();
        let fork = |number: usize| match number {
            0 => model.clone().fork(devices.main()),
            _ => copies[number - 1].clone().fork(&devices.all()[number]),
        };
        Self { model, forks: (1..parts).map(|part| (part / each, fork(part / each))).collect(), devices }
    }

    /// What a part, one of equally large ones, counts in the batch.
    pub fn share(&self) -> f64 {
        1.0 / (1 + self.forks.len()) as f64
    }

    /// Does `work` with every part, its model and the number of its device, side by side; returns what came out in the
    /// order of the parts.
    ///
    /// # Errors
    /// [`Error::Training`] if a device that another process lends did not do its part.
    ///
    /// # Panics
    /// If there are not as many parts as models, or as the work on a device of this process does.
    pub fn each<P: Send, R: Send>(&self, parts: Vec<P>, work: impl Fn(&M, P, usize) -> R + Sync) -> Result<Vec<R>> {
        assert_eq!(parts.len(), 1 + self.forks.len(), "a model for every part");
        let mut parts = parts.into_iter();
        let first = parts.next().expect("there is a part for the model itself");
        if self.forks.is_empty() {
            return Ok(vec![work(self.model, first, 0)]);
        }
        thread::scope(|scope| {
            let work = &work;
            let with_parts = self.forks.iter().zip(parts);
            let others: Vec<_> = with_parts
                .map(|((number, fork), part)| (*number, scope.spawn(move || work(fork, part, *number))))
                .collect();
            let mut done = vec![(0, panic::catch_unwind(AssertUnwindSafe(|| work(self.model, first, 0))))];
            // All of them before anything is decided: a scope panics by itself if a thread that nobody joined did.
            done.extend(others.into_iter().map(|(number, other)| (number, other.join())));
            settled(done, self.devices)
        })
    }

    /// Gradients of `loss` by the parameters of `model`, one of the crew's, on the first device.
    pub fn gradients(&self, model: &M, loss: &Tensor<1>) -> GradientsParams {
        let grads = GradientsParams::from_grads(loss.backward(), model);
        if self.devices.count() == 1 { grads } else { grads.to_device(&self.devices.main().clone().inner(), model) }
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

/// Loss, its named parts, and the gradients of `model`, averaged over `parts` of equal size, on the first device.
///
/// `loss` gets a copy of the model with an autodiff graph of its own, a part, and the number of the device that both
/// are for.
///
/// # Errors
/// As [`Crew::each`].
///
/// # Panics
/// As [`Crew::new`] and [`Crew::each`].
pub fn gradients<M, P>(
    model: &M,
    parts: Vec<P>,
    devices: &Devices,
    loss: impl Fn(&M, P, usize) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>) + Sync,
) -> Result<Slope>
where
    M: Module + Sync,
    P: Send,
{
    let crew = Crew::new(model, parts.len(), devices);
    let share = crew.share();
    let slopes = crew.each(parts, |model, part, device| {
        let (loss, parts) = loss(model, part, device);
        let loss = loss * share;
        let value = number(loss.clone());
        let values = parts.into_iter().map(|(name, part)| (name, number(part) * share)).collect();
        (value, values, crew.gradients(model, &loss))
    })?;
    Ok(crew.sum(slopes))
}

/// What came out of every part; where one panicked, an error if its device was lent, and otherwise the panic itself: a
/// mistake is to be told by its own words.
fn settled<R>(done: Vec<(usize, thread::Result<R>)>, devices: &Devices) -> Result<Vec<R>> {
    let (mut results, mut first_lost) = (Vec::with_capacity(done.len()), None);
    for (number, result) in done {
        match result {
            Ok(result) => results.push(result),
            Err(_) if devices.is_lent(number) => first_lost = first_lost.or(Some(number)),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
    match first_lost {
        Some(number) => Err(lost(number, devices.count())),
        None => Ok(results),
    }
}

fn lost(number: usize, count: usize) -> Error {
    Error::training(format!(
        "Device {} of {count} did not do its part of an update; when it is there again, go on with --resume",
        number + 1
    ))
}

/// Reads a tensor of one value back.
pub fn number(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_panic_on_a_device_of_this_process_keeps_its_words_however_many_there_are() {
        let devices = Devices::new(vec![Device::flex(); 2]).unwrap().autodiff();
        let model: Linear = LinearConfig::new(2, 2).init(devices.main());
        let crew = Crew::new(&model, 4, &devices);
        let work = |_: &Linear, part: usize, _| assert!(part < 2, "part {part} is a mistake");
        let caught = panic::catch_unwind(AssertUnwindSafe(|| crew.each(vec![0, 1, 2, 3], work)));
        let words = caught.expect_err("a mistake is not an absent device");
        assert_eq!(words.downcast_ref::<String>().unwrap(), "part 2 is a mistake");
    }

    #[test]
    fn a_lent_device_that_is_gone_is_named_and_is_no_panic() {
        let devices = Devices::new(vec![Device::flex(); 3]).unwrap().with_lent(&[1, 2]);
        let gone = || -> thread::Result<u32> { Err(Box::new("the connection was closed")) };
        let message = settled(vec![(0, Ok(7)), (1, gone()), (2, gone())], &devices).unwrap_err().to_string();
        assert!(message.starts_with("Device 2 of 3 did not do its part"), "{message}");
        assert_eq!(settled(vec![(0, Ok(7)), (1, Ok(8))], &devices).unwrap(), [7, 8]);
    }
}
