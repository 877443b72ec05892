//! Training pictures: any folder `class/*.png|jpg|jpeg|webp`, decoded once and kept as bytes.
//!
//! 24,000 pictures of 64 px are 300 MB, so nothing is read from disk while a run goes on. What a step sees
//! depends on the seed and the step's number alone: a resumed run sees what an uninterrupted one had seen.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::rng::Rng;
use crate::{Error, Result, image as picture};

/// Streams of the counter-based generator, one per purpose, so that no draw of one moves another.
pub(crate) mod stream {
    /// Which pictures are in a step's batch, and which of them are mirrored.
    pub const BATCH: u64 = 1 << 56;
    /// Which patches a step hides.
    pub const MASK: u64 = 2 << 56;
    /// Times, noise and dropped labels of a diffusion step.
    pub const DIFFUSION: u64 = 3 << 56;
    /// Which held-out pictures are measured.
    pub const HELD_OUT: u64 = 4 << 56;
    /// Order of the pictures in an epoch.
    pub const EPOCH: u64 = 5 << 56;
    /// Noise of a variational posterior.
    pub const POSTERIOR: u64 = 7 << 56;
    /// Branches that a step leaves out.
    pub const DROP_PATH: u64 = 8 << 56;
    /// Augmentation before the discriminator.
    pub const ADVERSARIAL: u64 = 9 << 56;
    /// Noise of the sample grids.
    pub const GRID: u64 = 6 << 56;
}

/// Files that were left out and are told by name.
const NAMED: usize = 5;

/// Square pictures with labels, in memory.
pub struct Pictures {
    /// Side in pixels, `H`.
    pub size: usize,
    /// Class names: the names of the folders, sorted.
    pub classes: Vec<String>,
    /// Class of every picture.
    pub labels: Vec<usize>,
    /// `[n, H, H, 3]`, 0 to 255.
    bytes: Vec<u8>,
    /// Pictures of every class.
    by_class: Vec<Vec<usize>>,
    /// Files that could not be read, each with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// A picture of a batch: which, and whether mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Index into [`Pictures`].
    pub index: usize,
    /// Mirrored left to right.
    pub mirrored: bool,
}

/// Where the training and the held-out pictures of a data folder are.
pub struct Split {
    /// Folder of the training classes.
    pub train: PathBuf,
    /// Folder of the held-out classes, if there is one.
    pub held_out: Option<PathBuf>,
    /// Names for people, from a `classes.json` beside them.
    pub about: Vec<ClassAbout>,
}

/// An entry of `classes.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct ClassAbout {
    /// Folder name of the class.
    pub name: String,
    /// Name for people.
    #[serde(default)]
    pub label: String,
    /// Group the class belongs to.
    #[serde(default)]
    pub group: String,
}

impl Split {
    /// `dir/train` and `dir/held-out` where `dir/train` holds folders, otherwise `dir` itself.
    ///
    /// # Errors
    /// [`Error::Training`] if there is a `classes.json` that does not hold what is expected.
    pub fn find(dir: &Path) -> Result<Self> {
        let train = dir.join("train");
        let has_classes = |dir: &Path| folders(dir).is_ok_and(|found| !found.is_empty());
        let held_out = dir.join("held-out");
        let about = dir.join("classes.json");
        let about = match fs::read(&about) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|problem| {
                let want = "a list of objects with name, label and group";
                Error::training(format!("{} must be {want}: {problem}", about.display()))
            })?,
            Err(_) => Vec::new(),
        };
        if !has_classes(&train) {
            return Ok(Self { train: dir.to_path_buf(), held_out: None, about });
        }
        let held_out = has_classes(&held_out).then_some(held_out);
        Ok(Self { train, held_out, about })
    }

    /// Group of a class; empty if nothing is known.
    pub fn group(&self, class: &str) -> &str {
        self.about.iter().find(|about| about.name == class).map_or("", |about| &about.group)
    }
}

impl Pictures {
    /// Reads `dir/class/*.{png,jpg,jpeg,webp}`, centre-cropped to `size`.
    ///
    /// `classes`, where given, fixes the order of the classes (that of the training folder for a held-out
    /// one); folders of other names are then refused.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be listed; [`Error::Training`] if it holds no readable picture or a
    /// class that training does not know.
    pub fn read(dir: &Path, size: usize, classes: Option<&[String]>) -> Result<Self> {
        let found = folders(dir)?;
        let names: Vec<String> = match classes {
            Some(classes) => classes.to_vec(),
            None => found.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut files = Vec::new();
        for (name, folder) in &found {
            let class = names.iter().position(|known| known == name).ok_or_else(|| {
                Error::training(format!("The training folder has no class {name}, but there is {}", folder.display()))
            })?;
            files.extend(pictures(folder)?.into_iter().map(|file| (class, file)));
        }
        let read: Vec<Result<Vec<u8>, String>> = files
            .par_iter()
            .map(|(_, path)| {
                let bytes = fs::read(path).map_err(|error| error.to_string())?;
                let decoded = picture::decode(&bytes).map_err(|error| error.to_string())?;
                Ok(picture::centre_crop(&decoded.rgb, size).into_raw())
            })
            .collect();

        let mut set = Self {
            size,
            by_class: vec![Vec::new(); names.len()],
            classes: names,
            labels: Vec::new(),
            bytes: Vec::with_capacity(files.len() * size * size * 3),
            skipped: Vec::new(),
        };
        for ((class, path), outcome) in files.into_iter().zip(read) {
            match outcome {
                Ok(bytes) => {
                    set.by_class[class].push(set.labels.len());
                    set.labels.push(class);
                    set.bytes.extend_from_slice(&bytes);
                }
                Err(reason) => set.skipped.push((path, reason)),
            }
        }
        if set.labels.is_empty() {
            return Err(Error::training(format!(
                "{} holds no class folders with readable PNG, JPEG or WebP pictures ({} files could not be read)",
                dir.display(),
                set.skipped.len()
            )));
        }
        Ok(set)
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none; never true for a set that was read.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// A picture as it is.
    pub fn rgb(&self, index: usize) -> ::image::RgbImage {
        let side = self.size as u32;
        ::image::RgbImage::from_raw(side, side, self.raw(index).to_vec())
            .expect("every picture has size × size × 3 bytes")
    }

    /// Writes a picture as planes `[3, H, H]` in [-1, 1] into `out`.
    pub fn planes(&self, draw: Draw, out: &mut [f32]) {
        let side = self.size;
        for (at, pixel) in self.raw(draw.index).chunks_exact(3).enumerate() {
            let (row, column) = (at / side, at % side);
            let column = if draw.mirrored { side - 1 - column } else { column };
            for channel in 0..3 {
                out[(channel * side + row) * side + column] = f32::from(pixel[channel]) / 127.5 - 1.0;
            }
        }
    }

    /// Up to `limit` pictures, the same for every call, spread evenly over the classes.
    pub fn subset(&self, limit: usize) -> Vec<usize> {
        let orders: Vec<Vec<usize>> = self
            .by_class
            .iter()
            .enumerate()
            .map(|(class, of_class)| {
                let order = Rng::new(0, stream::HELD_OUT | class as u64).permutation(of_class.len());
                order.into_iter().map(|i| of_class[i]).collect()
            })
            .collect();
        let longest = orders.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest)
            .flat_map(|turn| orders.iter().filter_map(move |order| order.get(turn).copied()))
            .take(limit)
            .collect()
    }

    /// What a person should know of the files that were left out: the first few by name, how many there are, and the
    /// classes that have lost all their pictures.
    pub fn notices(&self) -> Vec<String> {
        let told = |(path, reason): &(PathBuf, String)| format!("left out {}: {reason}", path.display());
        let few = self.skipped.len() <= NAMED + 1;
        let named = if few { self.skipped.len() } else { NAMED };
        let mut notices: Vec<String> = self.skipped[..named].iter().map(told).collect();
        if !few {
            let (more, all) = (self.skipped.len() - named, self.skipped.len() + self.len());
            notices.push(format!("left out {more} more; of {all} pictures, {} are used", self.len()));
        }
        let bare = |class: &String| {
            let lost = self.skipped.iter().filter(|(path, _)| folder_name(path) == Some(class)).count();
            (lost > 0).then(|| format!("the class {class} has no readable picture: all {lost} were left out"))
        };
        let empty = self.classes.iter().zip(&self.by_class).filter(|(_, pictures)| pictures.is_empty());
        notices.extend(empty.filter_map(|(class, _)| bare(class)));
        notices
    }

    /// Checksum of sizes, labels and all pixels.
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.size.to_le_bytes());
        for label in &self.labels {
            digest.update((*label as u64).to_le_bytes());
        }
        digest.update(&self.bytes);
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn raw(&self, index: usize) -> &[u8] {
        let length = self.size * self.size * 3;
        &self.bytes[index * length..][..length]
    }
}

/// Draws the batches of a run.
pub struct Sampler {
    seed: u64,
    batch: usize,
    mirror: bool,
    by_class: Option<Vec<Vec<usize>>>,
    count: usize,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Sampler {
    /// Batches of `batch` pictures. With `balanced`, every class is drawn equally often, however many
    /// pictures it has; without, every picture is seen once per epoch.
    pub fn new(pictures: &Pictures, seed: u64, batch: usize, mirror: bool, balanced: bool) -> Self {
        let filled = || pictures.by_class.iter().filter(|class| !class.is_empty()).cloned().collect();
        Self { seed, batch, mirror, by_class: balanced.then(filled), count: pictures.len(), epoch: None }
    }

    /// The batch of a step: a function of seed and step.
    pub fn draw(&mut self, step: u64) -> Vec<Draw> {
        let mut rng = Rng::new(self.seed, stream::BATCH | step);
        (0..self.batch as u64)
            .map(|place| {
                let index = match &self.by_class {
                    Some(classes) => {
                        let class = &classes[rng.below(classes.len())];
                        class[rng.below(class.len())]
                    }
                    None => self.in_epoch(step * self.batch as u64 + place),
                };
                Draw { index, mirrored: self.mirror && rng.below(2) == 1 }
            })
            .collect()
    }

    fn in_epoch(&mut self, place: u64) -> usize {
        let (number, at) = (place / self.count as u64, place % self.count as u64);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != number) {
            self.epoch = Some((number, Rng::new(self.seed, stream::EPOCH | number).permutation(self.count)));
        }
        self.epoch.as_ref().map_or(0, |(_, order)| order[at as usize])
    }
}

/// Name of the folder that a file is in.
fn folder_name(file: &Path) -> Option<&str> {
    file.parent()?.file_name()?.to_str()
}

/// Sub-folders by name, hidden ones left out.
fn folders(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found: Vec<(String, PathBuf)> = list(dir)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    found.sort();
    Ok(found)
}

fn pictures(dir: &Path) -> Result<Vec<PathBuf>> {
    let known = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp"))
    };
    let mut found: Vec<PathBuf> = list(dir)?.into_iter().filter(known).collect();
    found.sort();
    Ok(found)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::read(dir.display(), source);
    fs::read_dir(dir).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}
