//! Features on disk: those of 25,000 training pictures take minutes, and every model is measured by the same.

use std::fs;
use std::path::PathBuf;

use crate::checkpoint::{sha256_hex, write_atomically};
use crate::{Error, Result};

/// A folder with one file of little-endian f32 for each set of features.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In this folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made.
    pub fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).map_err(|e| Error::write(folder.display(), e))?;
        Ok(Self { folder })
    }

    /// The numbers kept under `key`, if there are `length`.
    pub fn get(&self, key: &str, length: usize) -> Option<Vec<f32>> {
        let bytes = fs::read(self.path(key)).ok()?;
        let whole = bytes.len() == 4 * length;
        whole.then(|| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Whether there is something under `key`.
    pub fn has(&self, key: &str) -> bool {
        self.path(key).is_file()
    }

    /// Keeps numbers.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn put(&self, key: &str, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        write_atomically(&self.path(key), &bytes)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("features-{}.f32", &sha256_hex(key.as_bytes())[..20]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_a_file_of_another_length_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("new/folder")).unwrap();
        assert!(cache.get("a", 3).is_none() && !cache.has("a"));
        cache.put("a", &[1.5, -2.0, 3e-9]).unwrap();
        assert_eq!(cache.get("a", 3).unwrap(), [1.5, -2.0, 3e-9]);
        assert!(cache.has("a") && cache.get("b", 3).is_none());
        fs::write(cache.path("a"), [0; 11]).unwrap();
        assert!(cache.get("a", 3).is_none(), "cut short");
    }
}
