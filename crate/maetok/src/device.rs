//! The only place where a device is made.
//!
//! The CPU path is Burn's flex backend (SIMD, in the browser too). The GPU path is Burn's wgpu. Software adapters run
//! the default kernels many times slower than the CPU path, so `Auto` takes a GPU only if it is one.

use std::str::FromStr;

use burn::tensor::Device;
use serde::Serialize;

use crate::{Error, Result};

/// What the caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Any wgpu adapter, a software one too.
    Wgpu,
    /// An installed PyTorch on the CPU, the fastest place to train on without a GPU.
    #[cfg(feature = "libtorch")]
    Libtorch,
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" | "webgpu" => Ok(Self::Wgpu),
            #[cfg(feature = "libtorch")]
            "libtorch" => Ok(Self::Libtorch),
            #[cfg(not(feature = "libtorch"))]
            "libtorch" => {
                Err(Error::setting("device", text, "cpu or wgpu: this build is without the feature libtorch"))
            }
            _ => Err(Error::setting("device", text, "auto, cpu or wgpu")),
        }
    }
}

/// What the caller got, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// "cpu" or "wgpu".
    pub kind: &'static str,
    /// Name of the adapter, or of the CPU path.
    pub name: String,
    /// Graphics interface, or "flex".
    pub backend: String,
    /// The adapter is emulated on the CPU.
    pub software: bool,
    /// Why this one, in words.
    pub reason: String,
}

/// Opens a device. Ask once per process: a wgpu runtime cannot be made twice.
///
/// # Errors
/// [`Error::Device`] if `Wgpu` is asked for and no adapter can be opened.
pub async fn open(choice: DeviceChoice) -> Result<(Device, DeviceInfo)> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu("asked for".to_owned())),
        DeviceChoice::Wgpu => wgpu().await,
        #[cfg(feature = "libtorch")]
        DeviceChoice::Libtorch => Ok((
            libtorch(),
            DeviceInfo {
                kind: "cpu",
                name: "CPU".to_owned(),
                backend: "libtorch".to_owned(),
                software: false,
                reason: "asked for".to_owned(),
            },
        )),
        DeviceChoice::Auto => Ok(match wgpu().await {
            Ok((device, info)) if !info.software => (device, info),
            Ok((_, info)) => cpu(format!("the only GPU adapter, {}, is emulated on the CPU and slower", info.name)),
            Err(error) => cpu(error.to_string()),
        }),
    }
}

/// Burn plans to drop this backend in favour of its own; until they are as fast on a CPU, it stays.
#[cfg(feature = "libtorch")]
#[expect(deprecated, reason = "nothing replaces it on a CPU yet: it trains several times faster than flex")]
fn libtorch() -> Device {
    Device::libtorch()
}

fn cpu(reason: String) -> (Device, DeviceInfo) {
    let info =
        DeviceInfo { kind: "cpu", name: "CPU (SIMD)".to_owned(), backend: "flex".to_owned(), software: false, reason };
    (Device::flex(), info)
}

async fn wgpu() -> Result<(Device, DeviceInfo)> {
    let (device, setup) =
        Device::wgpu_options().init_with_setup_async().await.map_err(|e| Error::Device { reason: e.to_string() })?;
    let adapter = setup.adapter.get_info();
    let software = adapter.device_type == wgpu::DeviceType::Cpu
        || ["swiftshader", "llvmpipe", "lavapipe", "basic render"]
            .iter()
            .any(|name| adapter.name.to_lowercase().contains(name));
    let info = DeviceInfo {
        kind: "wgpu",
        name: adapter.name,
        backend: adapter.backend.to_string(),
        software,
        reason: "a GPU adapter was found".to_owned(),
    };
    Ok((device, info))
}
