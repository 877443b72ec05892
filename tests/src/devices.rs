//! The devices that tests run on.

use std::io::Write as _;
use std::panic::catch_unwind;
use std::sync::OnceLock;

use burn::tensor::Device;

/// A device and its name in reports.
#[derive(Clone, Debug)]
pub struct TestDevice {
    /// `cpu`, or `wgpu` with the adapter's name.
    pub label: String,
    /// The device.
    pub device: Device,
}

/// The CPU device, which is always there.
pub fn cpu() -> TestDevice {
    TestDevice { label: "cpu".to_owned(), device: Device::flex() }
}

/// The CPU device and, where an adapter exists (a software one will do), a wgpu device.
///
/// Without an adapter that is said on stderr; with `MAETOK_REQUIRE_GPU=1` it is a failure.
///
/// # Panics
/// If `MAETOK_REQUIRE_GPU=1` and there is no usable adapter.
pub fn devices() -> Vec<TestDevice> {
    // Burn's runtime for an adapter can be set up once in a process.
    static WGPU: OnceLock<Result<TestDevice, String>> = OnceLock::new();
    let wgpu = WGPU.get_or_init(|| catch_unwind(open_wgpu).unwrap_or_else(|_| Err("its set-up panicked".to_owned())));
    match wgpu {
        Ok(wgpu) => vec![cpu(), wgpu.clone()],
        Err(reason) => {
            let required = std::env::var_os("MAETOK_REQUIRE_GPU").is_some_and(|v| v == "1");
            assert!(!required, "MAETOK_REQUIRE_GPU=1, but there is no wgpu device: {reason}");
            say(&format!("SKIPPED: tests on a wgpu device, because there is none: {reason}"));
            vec![cpu()]
        }
    }
}

/// Writes to stderr itself: what `eprintln!` writes, the test runner hides when the test passes, and a skip must be seen.
pub fn say(text: &str) {
    // A test has nothing better to do where even stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn open_wgpu() -> Result<TestDevice, String> {
    let (device, setup) = Device::wgpu_options().init_with_setup().map_err(|e| e.to_string())?;
    let info = setup.adapter.get_info();
    Ok(TestDevice { label: format!("wgpu ({})", info.name), device })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;

    #[test]
    fn every_device_computes() {
        for TestDevice { label, device } in devices() {
            let sum = Tensor::<1>::from_floats([1.0, 2.0, 3.5], &device).sum().into_scalar::<f32>();
            assert_eq!(sum, 6.5, "on {label}");
        }
    }
}
