//! A model folder's files, read and verified.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Manifest;
use crate::{Error, Result};

/// Verified bytes of a model folder, by path.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// The checked manifest.
    pub manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
}

impl ModelFiles {
    /// Reads `dir/manifest.json` and every file it lists.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read; [`Error::Manifest`] as for [`Manifest::parse`], or if a link leads
    /// outside the folder; [`Error::Checksum`] if a file's size or hash is not the manifest's.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_folder(dir: &std::path::Path) -> Result<Self> {
        let at = dir.join("manifest.json");
        let json = std::fs::read(&at).map_err(|e| Error::read(at.display(), e))?;
        let manifest = Manifest::parse(&json)?;
        let root = dir.canonicalize().map_err(|e| Error::read(dir.display(), e))?;
        let mut files = Vec::with_capacity(manifest.files.len());
        for entry in &manifest.files {
            let at = dir.join(&entry.path);
            let real = at.canonicalize().map_err(|e| Error::read(at.display(), e))?;
            if !real.starts_with(&root) {
                let path = &entry.path;
                return Err(Error::manifest(format!("the path {path:?} leads outside the model folder by a link")));
            }
            // Before reading: a wrong file may be larger than memory.
            let metadata = real.metadata().map_err(|e| Error::read(at.display(), e))?;
            check_size(&entry.path, metadata.len(), entry.size)?;
            let bytes = std::fs::read(&real).map_err(|e| Error::read(at.display(), e))?;
            files.push((entry.path.clone(), bytes));
        }
        Self::from_bytes(manifest, files)
    }

    /// Takes files that were fetched by other means; only those that [`Manifest::required`] names must be there.
    ///
    /// # Errors
    /// [`Error::Manifest`] if the manifest is not usable, a required file is not given or a given one is not listed;
    /// [`Error::Checksum`] if a file's size or hash is not the manifest's.
    pub fn from_bytes(manifest: Manifest, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        manifest.check()?;
        let files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
        for (path, bytes) in &files {
            let Some(entry) = manifest.files.iter().find(|entry| entry.path == *path) else {
                return Err(Error::manifest(format!("it does not list the file {path}")));
            };
            check_size(path, bytes.len() as u64, entry.size)?;
            let got = sha256_hex(bytes);
            if got != entry.sha256 {
                return Err(Error::Checksum { path: path.clone(), what: "SHA-256", got, want: entry.sha256.clone() });
            }
        }
        let absent = manifest.required().find(|path| !files.contains_key(*path)).map(str::to_owned);
        match absent {
            Some(path) => Err(Error::manifest(format!("the file {path} was not given"))),
            None => Ok(Self { manifest, files }),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::Manifest`] if there is no such file.
    pub fn file(&self, path: &str) -> Result<&[u8]> {
        let missing = || Error::manifest(format!("the model has no file {path}"));
        self.files.get(path).map(Vec::as_slice).ok_or_else(missing)
    }
}

fn check_size(path: &str, got: u64, want: u64) -> Result<()> {
    if got == want {
        return Ok(());
    }
    let bytes = |n: u64| format!("{n} bytes");
    Err(Error::Checksum { path: path.to_owned(), what: "size", got: bytes(got), want: bytes(want) })
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
