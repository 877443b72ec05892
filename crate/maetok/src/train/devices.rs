//! Where a run computes: one device, or several that share every batch.
//!
//! Several work as in Burn's own training on many devices (`MultiDeviceOptim::OptimMainDevice` in `burn-train`, made of
//! [`Module::fork`](burn::module::Module::fork), [`GradientsParams::to_device`](burn::optim::GradientsParams::to_device)
//! and [`GradientsAccumulator`](burn::optim::GradientsAccumulator)): in every update each gets a copy of the weights and
//! an equal part of the batch, the gradients come back to the first, are averaged there, and the first makes the update.
//! Burn moves the tensors, between the cards of a machine and, for [borrowed devices](crate::device), over its own
//! network protocol.
//!
//! Burn's other way, gradients that meet in an `all_reduce` during the backward pass
//! (`burn::tensor::distributed::DistributedContext`), is not used: in 0.22.1 only CUDA has that operation, by NCCL and
//! within one machine; flex, libtorch and wgpu answer it with a panic.

use std::sync::Arc;

use burn::tensor::{Device, FloatDType};

use crate::device::{self, DeviceChoice, DeviceInfo};
use crate::nn::Precision;
use crate::{Error, Result};

/// The devices of a run, at least one; the first keeps weights and optimiser.
#[derive(Clone, Debug)]
pub struct Devices {
    all: Vec<Device>,
    /// Which of them are other processes', and so may go away at any time.
    lent: Vec<bool>,
}

impl From<&Device> for Devices {
    fn from(device: &Device) -> Self {
        Self { all: vec![device.clone()], lent: vec![false] }
    }
}

impl Devices {
    /// Devices of this process.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is none.
    pub fn new(devices: Vec<Device>) -> Result<Self> {
        if devices.is_empty() {
            return Err(Error::setting("devices", "none", "one or more"));
        }
        Ok(Self { lent: vec![false; devices.len()], all: devices })
    }

    /// Opens devices by name, as [`DeviceChoice`] reads them. A name that is there twice is one device that gets two
    /// parts of every batch.
    ///
    /// # Errors
    /// As [`device::open`]; [`Error::Setting`] for `auto` beside another, which it may turn out to be: one device cannot
    /// be opened twice.
    pub async fn open(names: &[String]) -> Result<(Self, Vec<DeviceInfo>)> {
        let choices = names.iter().map(|name| name.parse()).collect::<Result<Vec<DeviceChoice>>>()?;
        let automatic = choices.iter().filter(|choice| **choice == DeviceChoice::Auto).count();
        if automatic > 0 && automatic < choices.len() {
            return Err(Error::setting("device", names.join(","), "auto alone, or the names of all devices"));
        }
        let mut opened: Vec<(DeviceChoice, Device, DeviceInfo)> = Vec::new();
        for choice in choices {
            let (device, info) = match opened.iter().find(|(known, ..)| *known == choice) {
                Some((_, device, info)) => (device.clone(), info.clone()),
                None => device::open(choice.clone()).await?,
            };
            opened.push((choice, device, info));
        }
        let (devices, infos): (_, Vec<DeviceInfo>) = opened.into_iter().map(|(_, device, info)| (device, info)).unzip();
        let lent = infos.iter().map(|info| info.kind == "remote").collect();
        Ok((Self { lent, ..Self::new(devices)? }, infos))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The first.
    pub fn main(&self) -> &Device {
        &self.all[0]
    }

    /// All of them.
    pub fn all(&self) -> &[Device] {
        &self.all
    }

    /// The same, some of them as if other processes lent them.
    #[cfg(test)]
    pub(super) fn with_lent(self, numbers: &[usize]) -> Self {
        let lent = (0..self.count()).map(|number| numbers.contains(&number)).collect();
        Self { lent, ..self }
    }

    /// Whether the device of this number is another process's.
    pub(super) fn is_lent(&self, number: usize) -> bool {
        self.lent[number]
    }

    /// What `load` makes for each device; a device that is there twice shares it with itself.
    ///
    /// # Errors
    /// As `load`.
    pub(super) fn load<T>(&self, load: impl Fn(&Device) -> Result<T>) -> Result<Vec<Arc<T>>> {
        let mut loaded: Vec<Arc<T>> = Vec::with_capacity(self.count());
        for (number, device) in self.all.iter().enumerate() {
            let before = self.all[..number].iter().position(|known| known == device);
            loaded.push(match before {
                Some(before) => Arc::clone(&loaded[before]),
                None => Arc::new(load(device)?),
            });
        }
        Ok(loaded)
    }

    /// The same, for training.
    pub fn autodiff(self) -> Self {
        Self { all: self.all.into_iter().map(Device::autodiff).collect(), ..self }
    }

    /// In how many parts each batch is cut: `workers` on every device.
    ///
    /// # Errors
    /// [`Error::Setting`] if `batch` cannot be cut into so many equal parts.
    pub(super) fn parts(&self, batch: usize, workers: usize) -> Result<usize> {
        let parts = self.count().checked_mul(workers).filter(|parts| *parts > 0 && batch.is_multiple_of(*parts));
        let Some(parts) = parts else {
            let want = match self.count() {
                1 => "a divisor of the batch".to_owned(),
                count => {
                    format!("such that {count} devices with so many threads each can share {batch} pictures equally")
                }
            };
            return Err(Error::setting("workers", workers, want));
        };
        Ok(parts)
    }
}

/// Refuses numbers that one of the devices cannot compute with.
///
/// # Errors
/// [`Error::Setting`].
pub(super) fn check_precision(precision: Precision, devices: &Devices) -> Result<()> {
    let able = |device: &Device| device.supports_dtype(FloatDType::BF16);
    if precision == Precision::Bf16 && !devices.all().iter().all(able) {
        return Err(Error::setting("precision", "bf16", "f32: a device of this run cannot compute with bfloat16"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_twice_is_one_device_with_two_parts() {
        let names = ["cpu".to_owned(), "cpu".to_owned()];
        let (devices, infos) = pollster::block_on(Devices::open(&names)).unwrap();
        assert_eq!((devices.count(), infos.len()), (2, 2));
        assert_eq!(devices.main(), &Device::flex());
        assert!(pollster::block_on(Devices::open(&[])).unwrap_err().to_string().contains("one or more"));
        assert!(pollster::block_on(Devices::open(&["abacus".to_owned()])).is_err());
        let loaded = devices.load(|_| Ok(())).unwrap();
        assert!(Arc::ptr_eq(&loaded[0], &loaded[1]), "its networks are there once");
    }

    #[test]
    fn auto_beside_another_device_is_refused_by_name() {
        let names = ["auto", "cpu"].map(str::to_owned);
        let message = pollster::block_on(Devices::open(&names)).unwrap_err().to_string();
        assert!(message.contains("auto,cpu") && message.contains("auto alone"), "{message}");
    }

    #[test]
    fn a_batch_is_cut_into_equal_parts_or_not_at_all() {
        let two = Devices::new(vec![Device::flex(); 2]).unwrap();
        assert_eq!(two.parts(8, 2).unwrap(), 4);
        for (batch, workers) in [(6, 2), (7, 1), (8, 0), (8, usize::MAX / 2 + 2)] {
            let message = two.parts(batch, workers).unwrap_err().to_string();
            assert!(message.contains("2 devices"), "{message}");
        }
        let one = Devices::from(&Device::flex());
        assert!(one.parts(8, 3).unwrap_err().to_string().contains("a divisor of the batch"));
    }
}
