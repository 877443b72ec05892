//! Where input comes from and output goes to; finding the model.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use maetok::checkpoint::{ModelFiles, write_atomically};
use maetok::device::{self, DeviceChoice};
use maetok::image::RgbImage;
use maetok::pipeline::Pipeline;
use maetok::{Error, image};

/// Largest picture file that is read.
const MAX_INPUT: u64 = 256 << 20;

/// The shipped model, relative to the source tree or the program.
const SHIPPED: &str = "assets/models/toon-64";

/// One line on stderr.
pub fn say(text: &str) {
    // Nobody is left to hear that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// One line on stdout. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
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

/// The folder named, or the shipped model's: below the current directory, beside the program, or in the source tree
/// that the program was built from.
pub fn model_folder(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = named {
        if dir.join("manifest.json").is_file() {
            return Ok(dir.to_owned());
        }
        bail!("There is no model at {}: it has no manifest.json.", dir.display());
    }
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(|dir| dir.join(SHIPPED));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(SHIPPED);
    let places = [Some(PathBuf::from(SHIPPED)), beside, Some(source)];
    match places.into_iter().flatten().find(|dir| dir.join("manifest.json").is_file()) {
        Some(dir) => Ok(dir),
        None => {
            bail!("There is no model at {SHIPPED}, neither here nor beside the program; name one with --model DIR.")
        }
    }
}

/// The verified files of a model folder.
pub fn model_files(named: Option<&Path>) -> Result<ModelFiles> {
    Ok(ModelFiles::from_folder(&model_folder(named)?)?)
}

/// The model on the device asked for, and that device's name.
pub fn pipeline(files: &ModelFiles, device: DeviceChoice) -> Result<(Pipeline, String)> {
    let (device, info) = pollster::block_on(device::open(device))?;
    Ok((Pipeline::load(files, &device)?, info.name))
}

/// The bytes of a file, or of the standard input for `-`.
pub fn input(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(|e| Error::read("The standard input", e))?;
    } else {
        let file = fs::File::open(path).map_err(|e| Error::read(shown(path), e))?;
        file.take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(|e| Error::read(shown(path), e))?;
    }
    if bytes.len() as u64 > MAX_INPUT {
        bail!("{} has more than {} MB, which no picture needs.", path.display(), MAX_INPUT >> 20);
    }
    Ok(bytes)
}

/// Refuses an output path that could not be written, before hours are spent on what would go there.
pub fn check_output(path: &Path) -> Result<()> {
    if path == Path::new("-") {
        return Ok(());
    }
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        bail!(
            "The picture is written as PNG, so --out must end in .png or be - for the standard output, not {}.",
            path.display()
        );
    }
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() && !dir.is_dir() => {
            bail!("The folder {} of --out does not exist.", dir.display())
        }
        _ => Ok(()),
    }
}

/// Writes a picture as PNG to a path, or to the standard output for `-`.
pub fn output(path: &Path, picture: &RgbImage) -> Result<()> {
    let png = image::encode_png(picture)?;
    if path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(&png).and_then(|()| out.flush()).map_err(|e| Error::write("The standard output", e))?;
        return Ok(());
    }
    Ok(write_atomically(path, &png)?)
}
