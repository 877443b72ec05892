//! The only place where a device is made.
//!
//! The CPU path is Burn's flex backend (SIMD, in the browser too). The GPU path is Burn's wgpu. Software adapters run
//! the default kernels many times slower than the CPU path, so `Auto` takes a GPU only if it is one.
//!
//! Further devices are cargo features, for they need what not every machine has: CUDA, libtorch, and devices of other
//! machines. What each needs, costs and gives is in `crate/cli/README.md`.

use std::str::FromStr;

use burn::tensor::Device;
use serde::Serialize;

use crate::kernels::{self, Check, Verdict};
use crate::{Error, Result};

/// What the caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Any wgpu adapter, a software one too.
    Wgpu,
    /// The NVIDIA card of this number, from 0.
    #[cfg(feature = "cuda")]
    Cuda(usize),
    /// An installed PyTorch on the CPU; with bfloat16 the fastest place to train on without a GPU.
    #[cfg(feature = "libtorch")]
    Libtorch,
    /// A device that another process offers, on this machine or another.
    #[cfg(feature = "remote")]
    Remote(crate::remote::Place),
}

/// Devices that only some builds have: what their names begin with, how they are written, and the feature.
const OPTIONAL: [(&str, &str, &str, bool); 3] = [
    ("cuda", "cuda:N", "cuda", cfg!(feature = "cuda")),
    ("libtorch", "libtorch", "libtorch", cfg!(feature = "libtorch")),
    ("ws", "ws://HOST:PORT", "remote", cfg!(feature = "remote")),
];

impl FromStr for DeviceChoice {
    type Err = Error;

    /// Reads `auto`, `cpu`, `wgpu`, and where built in `cuda` or `cuda:N`, `libtorch`, `ws://HOST:PORT` or
    /// `ws://HOST:PORT#N`.
    fn from_str(text: &str) -> Result<Self> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        match (kind, rest) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("wgpu" | "webgpu", None) => Ok(Self::Wgpu),
            #[cfg(feature = "cuda")]
            ("cuda", number) => match number.unwrap_or("0").parse() {
                Ok(number) => Ok(Self::Cuda(number)),
                Err(_) => Err(Error::setting("device", text, "cuda, or cuda:1 for the second card")),
            },
            #[cfg(feature = "libtorch")]
            ("libtorch", None) => Ok(Self::Libtorch),
            #[cfg(feature = "remote")]
            ("ws", Some(_)) => text.parse().map(Self::Remote),
            _ => {
                let missing = OPTIONAL.iter().find(|(name, _, _, built)| *name == kind && !built);
                let why = missing.map(|(_, _, feature, _)| format!(": this build is without the feature {feature}"));
                let mut known = vec!["auto", "cpu", "wgpu"];
                known.extend(OPTIONAL.iter().filter(|(.., built)| *built).map(|(_, written, ..)| *written));
                let last = known.pop().unwrap_or_default();
                Err(Error::setting(
                    "device",
                    text,
                    format!("{} or {last}{}", known.join(", "), why.unwrap_or_default()),
                ))
            }
        }
    }
}

/// What the caller got, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// "cpu", "wgpu", "cuda" or "remote".
    pub kind: &'static str,
    /// Name of the adapter, or of the CPU path.
    pub name: String,
    /// Graphics interface, "flex", "libtorch", "cuda", or where a remote device is.
    pub backend: String,
    /// The adapter is emulated on the CPU.
    pub software: bool,
    /// Why this one, in words.
    pub reason: String,
    /// Kernels of ours that failed their self-test here, by name, each with what was wrong; plain ops take their place.
    pub disabled_kernels: Vec<String>,
    /// Where that is from; `None` where there was nothing to test.
    pub self_test: Option<SelfTest>,
}

/// How the kernels were tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelfTest {
    /// At an earlier start; otherwise now.
    pub remembered: bool,
    /// Which adapter, in the words of its driver.
    pub adapter: String,
    /// What [`Past::recall`] may give when this adapter is opened again.
    pub text: String,
}

/// Gives the [`text`](SelfTest::text) that was kept of an [`adapter`](SelfTest::adapter).
pub type Recall<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What is known from before a device is opened. By default, nothing.
#[derive(Clone, Copy, Default)]
pub struct Past<'a> {
    /// Whatever it gives, a text that does not belong to the adapter and to these very kernels means testing again.
    pub recall: Option<&'a Recall<'a>>,
    /// Kernels that the device refused after their self-test, `NAME: WHY` each. They are left out.
    pub refused: &'a [String],
}

impl DeviceInfo {
    /// A device on which nothing had to be tested.
    pub(crate) fn new(kind: &'static str, name: &str, backend: &str, reason: &str) -> Self {
        let [name, backend, reason] = [name, backend, reason].map(str::to_owned);
        Self { kind, name, backend, software: false, reason, disabled_kernels: Vec::new(), self_test: None }
    }
}

/// [`open_again`] without a past.
///
/// # Errors
/// As there.
pub async fn open(choice: DeviceChoice) -> Result<(Device, DeviceInfo)> {
    open_again(choice, Past::default()).await
}

/// Opens a device. Ask once per process: a wgpu runtime cannot be made twice. The kernels are tested, unless `past` knows
/// how that ended; [`DeviceInfo::self_test`] is for the next time.
///
/// # Errors
/// [`Error::Device`] if what is asked for is not there or does not answer; `Auto` and `Cpu` always are.
pub async fn open_again(choice: DeviceChoice, past: Past<'_>) -> Result<(Device, DeviceInfo)> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu("asked for")),
        DeviceChoice::Wgpu => {
            let found = wgpu().await?;
            Ok(tested(found, past).await)
        }
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda(number) => cuda(number),
        #[cfg(feature = "remote")]
        DeviceChoice::Remote(place) => place.open().await,
        #[cfg(feature = "libtorch")]
        DeviceChoice::Libtorch => Ok((libtorch(), DeviceInfo::new("cpu", "CPU", "libtorch", "asked for"))),
        DeviceChoice::Auto => Ok(match wgpu().await {
            Ok(found) if !found.info.software => tested(found, past).await,
            Ok(Found { info, .. }) => {
                cpu(&format!("the only GPU adapter, {}, is emulated on the CPU and slower", info.name))
            }
            Err(error) => cpu(&error.to_string()),
        }),
    }
}

/// Burn plans to drop this backend in favour of its own; until they have bfloat16 products on a CPU, it stays.
#[cfg(feature = "libtorch")]
#[expect(deprecated, reason = "nothing replaces its products in bfloat16 on a CPU yet")]
fn libtorch() -> Device {
    Device::libtorch()
}

/// One of the NVIDIA cards.
#[cfg(feature = "cuda")]
fn cuda(number: usize) -> Result<(Device, DeviceInfo)> {
    // Without a driver the list is empty, where opening a card would panic.
    let cards = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    let Some(device) = cards.get(number).cloned() else {
        return Err(match cards.len() {
            0 => Error::Device { reason: "There is no NVIDIA card with a driver that CUDA can use here".to_owned() },
            count => {
                Error::setting("device", format!("cuda:{number}"), format!("one of the {count} cards, from cuda:0"))
            }
        });
    };
    let name = device.identity().map_or_else(|| format!("NVIDIA card {number}"), |identity| identity.name);
    Ok((device, DeviceInfo::new("cuda", &name, "cuda", "asked for")))
}

fn cpu(reason: &str) -> (Device, DeviceInfo) {
    (Device::flex(), DeviceInfo::new("cpu", "CPU (SIMD)", "flex", reason))
}

/// A wgpu device, as it was found.
struct Found {
    device: Device,
    /// What it stands on.
    gpu: wgpu::Device,
    info: DeviceInfo,
    adapter: String,
}

async fn wgpu() -> Result<Found> {
    let (device, setup) =
        Device::wgpu_options().init_with_setup_async().await.map_err(|e| Error::Device { reason: e.to_string() })?;
    let wgpu::AdapterInfo { name, vendor, device: model, device_type, driver, driver_info, backend, .. } =
        setup.adapter.get_info();
    let software = device_type == wgpu::DeviceType::Cpu
        || ["swiftshader", "llvmpipe", "lavapipe", "basic render"].iter().any(|it| name.to_lowercase().contains(it));
    let info = DeviceInfo::new("wgpu", &name, &backend.to_string(), "a GPU adapter was found");
    // In browsers most of it is empty: the page knows more, and keeps what it remembers apart by that.
    let adapter = format!("{name}, {vendor}:{model}, {driver} {driver_info}, {backend}");
    Ok(Found { device, gpu: setup.device, info: DeviceInfo { software, ..info }, adapter })
}

/// Tries our kernels on a device before anybody relies on them, or remembers how that ended.
async fn tested(found: Found, past: Past<'_>) -> (Device, DeviceInfo) {
    let Found { device, gpu, info, adapter } = found;
    let hardware = !info.software;
    let kept = past.recall.and_then(|recall| recall(&adapter));
    let known = kept.and_then(|text| Verdict::recalled(&text, &adapter));
    let remembered = known.is_some();
    let verdict = match known {
        None => kernels::examine(&device, hardware, &gpu).await,
        known => known,
    };
    let Some(mut verdict) = verdict else { return (device, info) };
    verdict.refuse(past.refused, hardware);
    verdict.take_effect(&device, hardware);
    let fault = |check: &Check| Some(format!("{}: {}", check.family.name(), check.fault.as_ref()?));
    let disabled_kernels = verdict.faults.iter().filter_map(fault).collect();
    let text = verdict.text(&adapter);
    (device, DeviceInfo { disabled_kernels, self_test: Some(SelfTest { remembered, adapter, text }), ..info })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_built_in_is_refused_with_the_feature_it_needs() {
        for (_, written, feature, built) in OPTIONAL {
            let read = written.replace(":N", ":1").replace("PORT", "3000").parse::<DeviceChoice>();
            assert_eq!(read.is_ok(), built, "{written}");
            if let Err(error) = read {
                let message = error.to_string();
                assert!(message.contains("auto, cpu") && message.ends_with(&format!("without the feature {feature}.")));
            }
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for text in ["abacus", "cpu:1", "wgpu:0", "auto:", ""] {
            let message = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(message.contains("auto, cpu") && !message.contains("feature"), "{text}: {message}");
        }
        assert_eq!("cpu".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cpu);
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_that_is_not_there_is_refused_without_a_panic() {
        assert_eq!("cuda:1".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(1));
        assert!("cuda:first".parse::<DeviceChoice>().is_err());
        let message = cuda(1000).unwrap_err().to_string();
        assert!(message.contains("no NVIDIA card") || message.contains("one of the"), "{message}");
    }
}
