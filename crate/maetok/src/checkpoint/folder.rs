//! Writing files and model folders so that a crash or a full disk leaves the old ones whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{FileEntry, Manifest, ModelEntry, sha256_hex};
use crate::{Error, Result};

/// One network as files: `config.json` and the bytes of `model.safetensors`.
#[derive(Clone, Debug)]
pub struct Part {
    /// Contents of `config.json`.
    pub config: String,
    /// Contents of `model.safetensors`, from [`save`](super::save).
    pub weights: Vec<u8>,
}

/// A model folder to be written.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Everything but `files`, `tokenizer` and `generator`, which [`write_folder`] fills in.
    /// Start from [`Manifest::draft`].
    pub manifest: Manifest,
    /// Goes to `tokenizer/`.
    pub tokenizer: Part,
    /// Goes to `sit/`.
    pub generator: Option<Part>,
    /// The model card, `README.md`.
    pub card: String,
    /// Further files by path, such as `thumbnails/lorelei.webp`.
    pub extra: BTreeMap<String, Vec<u8>>,
}

/// Writes a complete model folder at `dir` and returns its manifest; a model folder that is there already is
/// replaced in one step.
///
/// # Errors
/// [`Error::Manifest`] if the manifest would not be readable; [`Error::Io`] if the system refuses, or if `dir` holds
/// something that is not a model folder. The old folder is then untouched.
pub fn write_folder(dir: &Path, folder: &Folder) -> Result<Manifest> {
    let entry = |sub: &str| ModelEntry {
        config: format!("{sub}/config.json"),
        weights: vec![format!("{sub}/model.safetensors")],
    };
    let mut manifest = folder.manifest.clone();
    let mut files: BTreeMap<String, &[u8]> =
        folder.extra.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice())).collect();
    files.insert("README.md".to_owned(), folder.card.as_bytes());
    manifest.tokenizer = entry("tokenizer");
    files.insert(manifest.tokenizer.config.clone(), folder.tokenizer.config.as_bytes());
    files.insert(manifest.tokenizer.weights[0].clone(), &folder.tokenizer.weights);
    manifest.generator = folder.generator.as_ref().map(|part| {
        let entry = entry("sit");
        files.insert(entry.config.clone(), part.config.as_bytes());
        files.insert(entry.weights[0].clone(), &part.weights);
        entry
    });
    manifest.files = files
        .iter()
        .map(|(path, bytes)| FileEntry { path: path.clone(), size: bytes.len() as u64, sha256: sha256_hex(bytes) })
        .collect();
    manifest.check()?;
    let mut json = serde_json::to_string_pretty(&manifest).map_err(|e| Error::manifest(e.to_string()))?;
    json.push('\n');
    files.insert("manifest.json".to_owned(), json.as_bytes());

    let (fresh, old) = (sibling(dir, "new"), sibling(dir, "old"));
    let written = write_all(&fresh, &files).and_then(|()| swap(dir, &fresh, &old));
    if written.is_err() {
        // What is left of the attempt; the error to report is the first one.
        let _ = fs::remove_dir_all(&fresh);
    }
    written.map_err(|e| Error::write(dir.display(), e))?;
    Ok(manifest)
}

/// Adds files to the model folder at `dir`, or puts them in the place of those of the same path, lets `change` see to what
/// else the manifest says, and returns the manifest.
///
/// # Errors
/// [`Error::Manifest`] if there is no readable manifest, or would not be; [`Error::Io`] if the system refuses.
pub fn add_files(
    dir: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    change: impl FnOnce(&mut Manifest),
) -> Result<Manifest> {
    let at = dir.join("manifest.json");
    let mut manifest = Manifest::parse(&fs::read(&at).map_err(|e| Error::read(at.display(), e))?)?;
    change(&mut manifest);
    manifest.files.retain(|file| !files.contains_key(&file.path));
    let entry = |(path, bytes): (&String, &Vec<u8>)| FileEntry {
        path: path.clone(),
        size: bytes.len() as u64,
        sha256: sha256_hex(bytes),
    };
    manifest.files.extend(files.iter().map(entry));
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    manifest.check()?;
    let mut json = serde_json::to_string_pretty(&manifest).map_err(|e| Error::manifest(e.to_string()))?;
    json.push('\n');
    for (path, bytes) in files {
        let file = dir.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::write(parent.display(), e))?;
        }
        write_atomically(&file, bytes)?;
    }
    // Last: until then the folder is what it was.
    write_atomically(&at, json.as_bytes())?;
    Ok(manifest)
}

/// Writes a file so that at any moment either the old or the new contents are there.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = sibling(path, "new");
    let written = write_synced(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.map_err(|e| Error::write(path.display(), e))
}

/// A hidden name beside `path`, on the same file system, so that a rename is one step.
fn sibling(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn write_all(root: &Path, files: &BTreeMap<String, &[u8]>) -> io::Result<()> {
    for (path, bytes) in files {
        let at = root.join(path);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent)?;
        }
        write_synced(&at, bytes)?;
    }
    Ok(())
}

/// Puts `fresh` in the place of `dir`, by way of `old`.
fn swap(dir: &Path, fresh: &Path, old: &Path) -> io::Result<()> {
    if !dir.exists() {
        return fs::rename(fresh, dir);
    }
    let empty = fs::read_dir(dir)?.next().is_none();
    if !empty && !dir.join("manifest.json").is_file() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it holds something that is not a model folder"));
    }
    fs::rename(dir, old)?;
    if let Err(error) = fs::rename(fresh, dir) {
        fs::rename(old, dir)?;
        return Err(error);
    }
    fs::remove_dir_all(old)
}
