//! `manifest.json`: what a model folder holds and what a front must know before it loads weights.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::diffusion::PathType;
use crate::{Error, Result};

/// The version of the manifest's form that this crate reads and writes.
pub const FORMAT: u32 = 1;

/// The contents of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Short name, as the folder's: `toon-64`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// SPDX expression.
    pub license: String,
    /// Who trained it on what.
    pub origin: String,
    /// Side of the pictures in pixels.
    pub image_size: usize,
    /// Every other file of the folder.
    pub files: Vec<FileEntry>,
    /// Files of the tokenizer.
    pub tokenizer: ModelEntry,
    /// Files of the diffusion model; `None` in a folder that can only reconstruct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<ModelEntry>,
    /// Classes in the order of their labels.
    #[serde(default)]
    pub classes: Vec<ClassEntry>,
    /// Mean of all latents over the training pictures; the generator works on `(z - mean) / std`.
    pub latent_mean: f64,
    /// Standard deviation of all latents.
    pub latent_std: f64,
    /// Interpolant the generator was trained on.
    pub path_type: PathType,
    /// Path of the map of its latents, if it has one: see `measure::atlas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path inside the folder, with `/`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// The files of one network.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Path of its `config.json`.
    pub config: String,
    /// Paths of its safetensors files.
    pub weights: Vec<String>,
}

/// A class of the generator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassEntry {
    /// Kebab-case identifier: `big-ears`.
    pub name: String,
    /// Name for people: `Big Ears`.
    pub label: String,
    /// Heading it is shown under.
    pub group: String,
    /// Path of a picture of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

impl Manifest {
    /// A manifest without files, for [`write_folder`](super::write_folder) to complete.
    pub fn draft(name: &str, image_size: usize) -> Self {
        Self {
            format: FORMAT,
            name: name.to_owned(),
            title: name.to_owned(),
            license: "MIT OR Apache-2.0".to_owned(),
            origin: "unknown".to_owned(),
            image_size,
            files: Vec::new(),
            tokenizer: ModelEntry::default(),
            generator: None,
            classes: Vec::new(),
            latent_mean: 0.0,
            latent_std: 1.0,
            path_type: PathType::Linear,
            map: None,
        }
    }

    /// Reads and checks a `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Manifest`] if it is not JSON of this form, or if a path leaves the folder, a network's file is not
    /// listed, a class is named twice, or a number is out of range.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(json).map_err(|e| Error::manifest(e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The checks of [`parse`](Self::parse).
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |problem: String| Err(Error::manifest(problem));
        if self.format != FORMAT {
            return refuse(format!("its format is {}, this program reads format {FORMAT}", self.format));
        }
        if !(8..=4096).contains(&self.image_size) {
            return refuse(format!("image_size is {}, but it must be from 8 to 4096", self.image_size));
        }
        let sound = self.latent_mean.is_finite() && self.latent_std.is_finite() && self.latent_std > 0.0;
        if !sound {
            let (mean, std) = (self.latent_mean, self.latent_std);
            return refuse(format!("latent_mean {mean} and latent_std {std} must be finite, and the second positive"));
        }
        let mut paths = BTreeSet::new();
        for file in &self.files {
            check_path(&file.path)?;
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return refuse(format!("the SHA-256 of {} is not 64 lower-case hexadecimal digits", file.path));
            }
            if !paths.insert(file.path.as_str()) {
                return refuse(format!("it lists the file {} twice", file.path));
            }
        }
        let thumbnails = self.classes.iter().filter_map(|class| class.thumbnail.as_deref());
        for path in self.required().chain(thumbnails).chain(self.map.as_deref()) {
            check_path(path)?;
            if !paths.contains(path) {
                return refuse(format!("it uses the file {path} without listing it under files"));
            }
        }
        if self.tokenizer.weights.is_empty() || self.generator.as_ref().is_some_and(|g| g.weights.is_empty()) {
            return refuse("it names a network without weights".to_owned());
        }
        let mut names = BTreeSet::new();
        for class in &self.classes {
            let kebab = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if class.name.is_empty() || !class.name.bytes().all(kebab) {
                return refuse(format!("the class name {:?} is not kebab-case", class.name));
            }
            if !names.insert(class.name.as_str()) {
                return refuse(format!("it names the class {} twice", class.name));
            }
        }
        if self.generator.is_some() && self.classes.is_empty() {
            return refuse("it has a generator but no classes".to_owned());
        }
        Ok(())
    }

    /// Paths without which no picture can be made: configurations and weights.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.tokenizer)
            .chain(&self.generator)
            .flat_map(|entry| std::iter::once(&entry.config).chain(&entry.weights))
            .map(String::as_str)
    }

    /// The label of a class given by name (`big-ears`, `Big Ears`) or by number.
    ///
    /// # Errors
    /// [`Error::UnknownClass`] with the nearest names, or [`Error::Setting`] for a number that is too large or a model
    /// without classes.
    pub fn class_index(&self, name_or_number: &str) -> Result<usize> {
        let wanted = name_or_number.trim();
        let count = self.classes.len();
        if count == 0 {
            return Err(Error::setting("class", wanted, "left out: this model has no classes"));
        }
        if !wanted.is_empty() && wanted.bytes().all(|b| b.is_ascii_digit()) {
            return match wanted.parse::<usize>() {
                Ok(index) if index < count => Ok(index),
                _ => Err(Error::setting("class", wanted, format!("a class name or a number from 0 to {}", count - 1))),
            };
        }
        let lower = wanted.to_lowercase();
        let same = |class: &ClassEntry| class.name == lower || class.label.to_lowercase() == lower;
        self.classes.iter().position(same).ok_or_else(|| Error::UnknownClass {
            // Shown in a sentence: cut what nobody would read.
            name: wanted.chars().take(60).collect(),
            nearest: self.nearest(&lower),
        })
    }

    /// The names of the three classes spelt most like `lower`.
    fn nearest(&self, lower: &str) -> Vec<String> {
        // The distance is quadratic in the length, and nothing long is near a name anyway.
        let lower: String = lower.chars().take(60).collect();
        let distance = |class: &ClassEntry| {
            let to = |name: &str| strsim::normalized_damerau_levenshtein(&lower, name);
            to(&class.name).max(to(&class.label.to_lowercase()))
        };
        let mut ranked: Vec<(f64, &ClassEntry)> = self.classes.iter().map(|c| (distance(c), c)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.into_iter().take(3).map(|(_, class)| class.name.clone()).collect()
    }
}

/// Refuses whatever could lead outside the folder, on any system.
fn check_path(path: &str) -> Result<()> {
    let inside = !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if inside {
        return Ok(());
    }
    Err(Error::manifest(format!("the path {path:?} does not stay inside the model folder")))
}
