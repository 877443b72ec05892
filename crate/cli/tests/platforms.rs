//! The same seed gives the same picture on every native device. The browsers' half is `web/test/browser/platforms.test.ts`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::RgbImage;

/// How far a pixel may be from the CPU's, of 255.
const ALLOWED: u8 = 2;

/// A 10-step Euler picture of the shipped model, drawn by the real binary.
fn draw(device: &str, out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_maetok"))
        .args(["sample", "--class", "lorelei", "--seed", "1", "--steps", "10", "--guidance", "1", "--sampler", "euler"])
        .args(["--device", device, "--out"])
        .arg(out)
        .output()
        .expect("the binary starts")
}

fn picture(device: &str, folder: &Path) -> Result<RgbImage, String> {
    let out: PathBuf = folder.join(format!("{device}.png"));
    let done = draw(device, &out);
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    Ok(image::open(&out).expect("a PNG").to_rgb8())
}

#[test]
fn the_same_seed_gives_the_same_picture_on_cpu_and_wgpu() {
    let folder = tempfile::tempdir().expect("a folder");
    let cpu = picture("cpu", folder.path()).expect("the CPU draws");
    let wgpu = match picture("wgpu", folder.path()) {
        Ok(wgpu) => wgpu,
        Err(reason) => {
            let required = std::env::var_os("MAETOK_REQUIRE_GPU").is_some_and(|v| v == "1");
            assert!(!required, "MAETOK_REQUIRE_GPU=1, but wgpu drew nothing: {reason}");
            // Past the test runner, which hides what a passing test prints.
            writeln!(std::io::stderr(), "SKIPPED: the picture on wgpu, because {reason}").expect("stderr");
            return;
        }
    };
    let worst = cpu.as_raw().iter().zip(wgpu.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
    assert_eq!(cpu.dimensions(), wgpu.dimensions());
    assert!(worst <= Some(ALLOWED), "worst difference {worst:?} of 255");
    // A picture of one colour would agree with anything like it.
    let levels: std::collections::BTreeSet<u8> = cpu.as_raw().iter().copied().collect();
    assert!(levels.len() > 32, "the picture has {} levels", levels.len());
}
