//! Small copies of what the browser downloads: `x.br` and `x.gz` beside `x`.
//!
//! A server that knows the convention (ours does, and most hosts of static pages) sends the copy to
//! browsers that accept it. Weights are left alone: floating-point noise does not shrink.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use crate::project::Project;

/// What shrinks.
const KINDS: [&str; 7] = ["css", "html", "js", "json", "svg", "txt", "wasm"];
/// Below this a copy saves less than its own headers cost.
const SMALLEST: u64 = 1024;
/// The best Brotli can do. It takes half a minute for the wasm, once per change of the engine.
const BROTLI_QUALITY: i32 = 11;
/// Window of Brotli, as a power of two: the largest of RFC 7932, which every decoder takes.
const BROTLI_WINDOW: i32 = 24;

/// Writes the copies for everything under `folder`. Copies made earlier for the same bytes are taken
/// from `cache`.
///
/// # Errors
/// If a file cannot be read or written.
pub fn folder(folder: &Path, cache: &Path) -> Result<()> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    for file in files(folder)? {
        let kind = file.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        if KINDS.contains(&kind) && fs::metadata(&file)?.len() >= SMALLEST {
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            // How they were squeezed counts as well as what was.
            let key = format!("{digest}-{BROTLI_QUALITY}-{BROTLI_WINDOW}");
            for (ending, squeeze) in [("br", brotli as fn(&[u8]) -> Result<Vec<u8>>), ("gz", gzip)] {
                let kept = cache.join(format!("{key}.{ending}"));
                if !kept.exists() {
                    fs::write(&kept, squeeze(&bytes)?).with_context(|| format!("cannot write {}", kept.display()))?;
                }
                fs::copy(&kept, with_ending(&file, ending))
                    .with_context(|| format!("cannot copy {}", kept.display()))?;
            }
        }
    }
    Ok(())
}

/// One line for each wasm file of the page: its size, and what it costs to download.
///
/// # Errors
/// If the page is not built.
pub fn report(project: &Project) -> Result<String> {
    let wasm = files(&project.page())?.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "wasm"));
    let lines = wasm.map(|file| {
        let size = |file: PathBuf| fs::metadata(&file).map_or(0, |data| data.len());
        Ok(format!(
            "{}: {} raw, {} gzip, {} brotli",
            file.file_name().context("a file has a name")?.to_string_lossy(),
            megabytes(size(file.clone())),
            megabytes(size(with_ending(&file, "gz"))),
            megabytes(size(with_ending(&file, "br"))),
        ))
    });
    Ok(lines.collect::<Result<Vec<_>>>()?.join("\n"))
}

/// `12.34 MB`, in millions of bytes.
#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// `a/b.js` and `br` give `a/b.js.br`.
fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// All files below `folder`, in a fixed order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut small = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut small, &parameters)?;
    Ok(small)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn copies_unpack_to_the_original() {
        let bytes = b"let picture = noise; ".repeat(200);
        let mut back = Vec::new();
        brotli::BrotliDecompress(&mut &brotli(&bytes).expect("packs")[..], &mut back).expect("unpacks");
        assert_eq!(back, bytes);
        back.clear();
        flate2::read::GzDecoder::new(&gzip(&bytes).expect("packs")[..]).read_to_end(&mut back).expect("unpacks");
        assert_eq!(back, bytes);
    }

    #[test]
    fn text_and_wasm_get_copies_but_weights_and_small_files_do_not() {
        let bench = tempfile::tempdir().expect("temporary folder");
        let page = bench.path().join("page");
        fs::create_dir_all(page.join("assets")).expect("folder");
        for name in ["index.html", "assets/engine.wasm", "weights.safetensors"] {
            fs::write(page.join(name), "x".repeat(5000)).expect("file");
        }
        fs::write(page.join("small.js"), "1").expect("file");
        folder(&page, &bench.path().join("cache")).expect("copies");
        let names: Vec<_> = files(&page)
            .expect("list")
            .iter()
            .map(|file| file.strip_prefix(&page).expect("below").display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "assets/engine.wasm",
                "assets/engine.wasm.br",
                "assets/engine.wasm.gz",
                "index.html",
                "index.html.br",
                "index.html.gz",
                "small.js",
                "weights.safetensors"
            ]
        );
    }
}
