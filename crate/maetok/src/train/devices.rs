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

use burn::tensor::{Device, FloatDType};

use crate::device::{self, DeviceChoice, DeviceInfo};
use crate::nn::Precision;
use crate::{Error, Result};

/// The devices of a run, at least one; the first keeps weights and optimiser.
#[derive(Clone, Debug)]
pub struct Devices(Vec<Device>);

impl From<&Device> for Devices {
    fn from(device: &Device) -> Self {
        Self(vec![device.clone()])
    }
}

impl Devices {
    /// # Errors
    /// [`Error::Setting`] if there is none.
    pub fn new(devices: Vec<Device>) -> Result<Self> {
        if devices.is_empty() {
            return Err(Error::setting("devices", "none", "one or more"));
        }
        Ok(Self(devices))
    }

    /// Opens devices by name, as [`DeviceChoice`] reads them. A name that is there twice is one device that gets two
    /// parts of every batch.
    ///
    /// # Errors
    /// As [`device::open`].
    pub async fn open(names: &[String]) -> Result<(Self, Vec<DeviceInfo>)> {
        let mut opened: Vec<(DeviceChoice, Device, DeviceInfo)> = Vec::new();
        for name in names {
            let choice: DeviceChoice = name.parse()?;
            let (device, info) = match opened.iter().find(|(known, ..)| *known == choice) {
                Some((_, device, info)) => (device.clone(), info.clone()),
                None => device::open(choice.clone()).await?,
            };
            opened.push((choice, device, info));
        }
        let (devices, infos) = opened.into_iter().map(|(_, device, info)| (device, info)).unzip();
        Ok((Self::new(devices)?, infos))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The first.
    pub fn main(&self) -> &Device {
        &self.0[0]
    }

    /// All of them.
    pub fn all(&self) -> &[Device] {
        &self.0
    }

    /// The same, for training.
    pub fn autodiff(self) -> Self {
        Self(self.0.into_iter().map(Device::autodiff).collect())
    }

    /// In how many parts each batch is cut: `workers` on every device.
    ///
    /// # Errors
    /// [`Error::Setting`] if `batch` cannot be cut into so many equal parts.
    pub(super) fn parts(&self, batch: usize, workers: usize) -> Result<usize> {
        let parts = self.count() * workers;
        if parts == 0 || !batch.is_multiple_of(parts) {
            let want = match self.count() {
                1 => "a divisor of the batch".to_owned(),
                count => {
                    format!("such that {count} devices with so many threads each can share {batch} pictures equally")
                }
            };
            return Err(Error::setting("workers", workers, want));
        }
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
    }

    #[test]
    fn a_batch_is_cut_into_equal_parts_or_not_at_all() {
        let two = Devices::new(vec![Device::flex(); 2]).unwrap();
        assert_eq!(two.parts(8, 2).unwrap(), 4);
        for (batch, workers) in [(6, 2), (7, 1), (8, 0)] {
            let message = two.parts(batch, workers).unwrap_err().to_string();
            assert!(message.contains("2 devices"), "{message}");
        }
        let one = Devices::from(&Device::flex());
        assert!(one.parts(8, 3).unwrap_err().to_string().contains("a divisor of the batch"));
    }
}
