//! Where input comes from and output goes to; finding the model.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use maetok::checkpoint::{ModelFiles, Weights, write_atomically};
use maetok::device::{DeviceChoice, DeviceInfo};
use maetok::image::RgbImage;
use maetok::pipeline::Pipeline;
use maetok::train::Devices;
use maetok::{Device, Error, image};

use crate::remembered;

/// Most bytes of a picture, a recipe or a model card, and of whatever does not say how long it is.
pub const SMALL: u64 = 256 << 20;
/// Most bytes of a weights file: several times the largest published one.
pub const WEIGHTS: u64 = 16 << 30;

/// The shipped model, relative to the source tree or the program.
const SHIPPED: &str = "assets/models/toon-128";
/// The network that judges pictures, likewise.
const NETWORK: &str = "assets/networks/efficientnet-lite0/model.safetensors";

/// One line on stderr.
pub fn say(text: &str) {
    // Nobody is left to hear that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// One line on stdout.
pub fn print(text: &str) -> Result<()> {
    to_stdout(format!("{text}\n").as_bytes())
}

/// Bytes on stdout. A reader that has seen enough (`| head`) is no error.
fn to_stdout(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::write("The standard output", error).into())
        }
        _ => Ok(()),
    }
}

/// A path as the user knows it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The folder named, or the shipped model's.
pub fn model_folder(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = named {
        if dir.join("manifest.json").is_file() {
            return Ok(dir.to_owned());
        }
        bail!("There is no model at {}: it has no manifest.json.", dir.display());
    }
    match shipped(SHIPPED, |dir| dir.join("manifest.json").is_file()) {
        Some(dir) => Ok(dir),
        None => {
            bail!("There is no model at {SHIPPED}, neither here nor beside the program; name one with --model DIR.")
        }
    }
}

/// Something of this project that is `there`: below the current directory, beside the program, or in the source tree
/// that the program was built from.
fn shipped(path: &str, there: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(|dir| dir.join(path));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let places = [Some(PathBuf::from(path)), beside, Some(source)];
    places.into_iter().flatten().find(|place| there(place))
}

/// The bytes of EfficientNet-Lite0's weights: the file named, or that of this project.
pub fn feature_network(named: Option<&Path>) -> Result<Vec<u8>> {
    let found = named.map(Path::to_owned).or_else(|| shipped(NETWORK, Path::is_file));
    let Some(path) = found else {
        bail!("There is no {NETWORK}, neither here nor beside the program; name one with --network FILE.");
    };
    input(&path, SMALL)
}

/// The verified files of a model folder.
pub fn model_files(named: Option<&Path>) -> Result<ModelFiles> {
    Ok(ModelFiles::from_folder(&model_folder(named)?)?)
}

/// Opens the device asked for. What its kernels' self-test found out before is remembered.
pub fn device(choice: DeviceChoice) -> Result<(Device, DeviceInfo)> {
    pollster::block_on(remembered::open(choice, false)).map_err(no_device)
}

/// [`device`], with the kernels tested anew.
pub fn device_tested(choice: DeviceChoice) -> Result<(Device, DeviceInfo)> {
    pollster::block_on(remembered::open(choice, true)).map_err(no_device)
}

/// Opens the devices of a training run; returns them with their names for people.
pub fn devices(names: &[String]) -> Result<(Devices, String)> {
    let (devices, infos) = pollster::block_on(Devices::open(names)).map_err(no_device)?;
    let names: Vec<String> = infos.iter().map(|info| format!("{} ({})", info.name, info.backend)).collect();
    Ok((devices, names.join(" and ")))
}

/// Refuses names of devices that mean nothing, before anything slow happens.
pub fn check_devices<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    names.into_iter().try_for_each(|name| name.parse::<DeviceChoice>().map(drop).map_err(Into::into))
}

fn no_device(error: Error) -> anyhow::Error {
    match error {
        // The reason names what was looked for in the words of a program.
        Error::Device { reason } if reason.to_lowercase().contains("no adapter") => {
            anyhow!("There is no GPU adapter that wgpu can use here; --device cpu computes without one.")
        }
        other => other.into(),
    }
}

/// The model on the device asked for, its weights as asked for, and that device's name.
pub fn pipeline(files: &ModelFiles, choice: DeviceChoice, weights: Weights) -> Result<(Pipeline, String)> {
    let (device, info) = device(choice)?;
    Ok((Pipeline::load_as(files, &device, weights)?, info.name))
}

/// Refuses a folder that is not there, before anything slow happens.
pub fn check_folder(path: &Path, flag: &str) -> Result<()> {
    if !path.is_dir() {
        bail!("The folder {} of {flag} does not exist.", path.display());
    }
    Ok(())
}

/// The bytes of a file, or of the standard input for `-`, if they are no more than `most`.
pub fn input(path: &Path, most: u64) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        return read_up_to(most.min(SMALL), io::stdin(), "The standard input");
    }
    let file = fs::File::open(path).map_err(|e| Error::read(shown(path), e))?;
    let about = file.metadata().map_err(|e| Error::read(shown(path), e))?;
    // A pipe or a device need not end: only what says how long it is may be long.
    let most = if about.is_file() { most } else { most.min(SMALL) };
    if about.len() > most {
        return Err(too_long(&shown(path), most));
    }
    read_up_to(most, file, &shown(path))
}

fn read_up_to(most: u64, from: impl io::Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes).map_err(|e| Error::read(name, e))?;
    if bytes.len() as u64 > most {
        return Err(too_long(name, most));
    }
    Ok(bytes)
}

fn too_long(name: &str, most: u64) -> anyhow::Error {
    anyhow!("{name} has more than {} MB, the most that is read.", most >> 20)
}

/// Refuses an output path that could not be written, before hours are spent on what would go there.
pub fn check_output(path: &Path) -> Result<()> {
    if path == Path::new("-") {
        return check_stdout();
    }
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        bail!(
            "The picture is written as PNG, so --out must end in .png or be - for the standard output, not {}.",
            path.display()
        );
    }
    if path.is_dir() {
        bail!("The picture cannot be written to {}, because that is a folder.", path.display());
    }
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => check_folder(dir, "--out")?,
        _ => {}
    }
    // As the picture will be written: first beside its place, then renamed.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let trial = path.with_file_name(format!(".{name}.new-{}", std::process::id()));
    fs::File::create(&trial).map_err(|e| Error::write(shown(path), e))?;
    fs::remove_file(&trial).map_err(|e| Error::write(shown(path), e))?;
    Ok(())
}

/// Refuses a standard output that is closed. Rust opens /dev/null in its place, for reading too, and writing there
/// succeeds; a shell that was told `> /dev/null` opens it for writing only.
#[cfg(target_os = "linux")]
fn check_stdout() -> Result<()> {
    // The access mode's bits in the octal flags of `/proc/self/fdinfo`, and its value for reading and writing.
    const MODE: u32 = 0o3;
    const BOTH: u32 = 0o2;
    let leads_nowhere = fs::read_link("/proc/self/fd/1").is_ok_and(|to| to == Path::new("/dev/null"));
    let about = fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = about.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    if leads_nowhere && flags.is_some_and(|flags| flags & MODE == BOTH) {
        bail!("The standard output is closed or leads nowhere, so the picture would be lost; give --out a file.");
    }
    Ok(())
}

/// Nothing is known of it.
#[cfg(not(target_os = "linux"))]
fn check_stdout() -> Result<()> {
    Ok(())
}

/// Writes a picture as PNG to a path, or to the standard output for `-`.
pub fn output(path: &Path, picture: &RgbImage) -> Result<()> {
    write(path, &image::encode_png(picture)?)
}

/// Writes bytes to a path, or to the standard output for `-`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if path == Path::new("-") {
        return to_stdout(bytes);
    }
    Ok(write_atomically(path, bytes)?)
}
