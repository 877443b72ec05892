//! The same seed gives the same picture on every native device. The browsers' half is `web/test/browser/platforms.test.ts`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use image::RgbImage;

/// How far a pixel may be from the CPU's, of 255.
const ALLOWED: u8 = 2;
/// What the program says where there is nothing to compare with.
const NO_ADAPTER: &str = "There is no GPU adapter that wgpu can use here";

/// A 10-step Euler picture of the shipped model, drawn by the real binary; nothing where there is no such device.
///
/// # Panics
/// If the device is there and the picture is not.
fn draw(device: &str, guidance: &str, folder: &Path) -> Option<RgbImage> {
    let out = folder.join(format!("{device}-{guidance}.png"));
    let done = Command::new(env!("CARGO_BIN_EXE_maetok"))
        .args(["sample", "--class", "lorelei", "--seed", "1", "--steps", "10", "--sampler", "euler"])
        .args(["--guidance", guidance, "--device", device, "--out"])
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .arg(&out)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.code() == Some(2) && said.contains(NO_ADAPTER) {
        return None;
    }
    assert!(done.status.success(), "guidance {guidance} on {device}: {said}");
    Some(image::open(&out).expect("a PNG").to_rgb8())
}

#[test]
fn the_same_seed_gives_the_same_picture_on_cpu_and_wgpu() {
    let folder = tempfile::tempdir().expect("a folder");
    for guidance in ["1", "2"] {
        let cpu = draw("cpu", guidance, folder.path()).expect("every machine has a CPU");
        // A picture of one colour would agree with anything like it.
        let levels: BTreeSet<u8> = cpu.as_raw().iter().copied().collect();
        assert!(levels.len() > 32, "guidance {guidance}: the picture has {} levels", levels.len());
        let Some(wgpu) = draw("wgpu", guidance, folder.path()) else {
            let required = std::env::var_os("MAETOK_REQUIRE_GPU").is_some_and(|v| v == "1");
            assert!(!required, "MAETOK_REQUIRE_GPU=1, but there is no adapter");
            // Past the test runner, which hides what a passing test prints.
            writeln!(std::io::stderr(), "SKIPPED: the picture on wgpu, because there is no adapter").expect("stderr");
            return;
        };
        assert_eq!(cpu.dimensions(), wgpu.dimensions());
        let worst = cpu.as_raw().iter().zip(wgpu.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().expect("pixels");
        assert!(worst <= ALLOWED, "guidance {guidance}: worst difference {worst} of 255");
        writeln!(std::io::stderr(), "guidance {guidance}: worst difference {worst} of 255").expect("stderr");
    }
}
