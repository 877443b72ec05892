//! From training runs to a model folder that every front reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde_json::Value;

use super::data::Split;
use super::diffusion::DiffusionTraining;
use super::drive::{State, read_state};
use super::latents::{Source, trained_on, units};
use super::log;
use super::run_folder::{CLASSES, Kind, LOG, RunFolder, read, read_json};
use crate::checkpoint::{self, ClassEntry, Folder, Manifest, Part, Storage, write_folder};
use crate::diffusion::GeneratorConfig;
use crate::{Error, Result};

/// What goes into the folder.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The tokenizer: a run, a model folder, or a folder with `config.json` and `model.safetensors`.
    pub tokenizer: PathBuf,
    /// A generator's run.
    pub generator: Option<PathBuf>,
    /// The data folder, for its `classes.json`.
    pub data: Option<PathBuf>,
    /// Folder with `class.webp`, `.png` or `.jpg` for each class.
    pub thumbnails: Option<PathBuf>,
    /// Short name.
    pub name: String,
    /// Name for people; the short one if empty.
    pub title: String,
    /// SPDX expression.
    pub license: String,
    /// Who trained it on what.
    pub origin: String,
    /// The model card; one with the runs' numbers is written if there is none.
    pub card: Option<String>,
    /// How numbers are stored.
    pub storage: Storage,
}

impl Pack {
    /// A pack of this tokenizer alone.
    pub fn new(tokenizer: &Path) -> Self {
        Self {
            tokenizer: tokenizer.to_path_buf(),
            generator: None,
            data: None,
            thumbnails: None,
            name: "model".into(),
            title: String::new(),
            license: "MIT OR Apache-2.0".into(),
            origin: "unknown".into(),
            card: None,
            storage: Storage::F16,
        }
    }
}

/// Writes the averaged weights of finished runs as a model folder.
///
/// # Errors
/// [`Error::Training`] if the generator was trained on another tokenizer or there is nothing to pack; what
/// [`write_folder`] gives.
pub fn pack(request: &Pack, out: &Path) -> Result<Manifest> {
    let device = Device::flex();
    let source = Source::find(&request.tokenizer)?;
    let none = BTreeMap::new();
    let tokenizer = source.load(&device)?;
    let weights = checkpoint::save(&tokenizer, request.storage, &none)?;
    let mut manifest = Manifest::draft(&request.name, source.config.image_size);
    manifest.title = if request.title.is_empty() { &request.name } else { &request.title }.clone();
    manifest.license.clone_from(&request.license);
    manifest.origin.clone_from(&request.origin);

    let mut config = source.config.clone();
    let mut generator = None;
    let mut extra = BTreeMap::new();
    if let Some(run) = &request.generator {
        let folder = RunFolder::existing(run);
        folder.check_kind(Kind::Generator)?;
        let Some((_, from)) = folder.latest()? else {
            return Err(Error::training(format!("{} holds no checkpoint", run.display())));
        };
        if !trained_on(&folder, &from, &source, &tokenizer)? {
            return Err(Error::training(format!(
                "The generator in {} was trained on another tokenizer than that in {}",
                run.display(),
                source.folder.display()
            )));
        }
        let measured = units(&folder, &from)?;
        (config.latent_mean, config.latent_std) = (measured.latent_mean, measured.latent_std);
        let (settings, _) = DiffusionTraining::of_run(run)?;
        let sizes = GeneratorConfig::from_json(&read(&from.join("config.json"))?)?;
        let network = checkpoint::load(sizes.init(&device)?, &[&read(&from.join("model.safetensors"))?])?.0;
        generator =
            Some(Part { config: sizes.to_json(), weights: checkpoint::save(&network, request.storage, &none)? });
        manifest.path_type = settings.path;
        let names: Vec<String> = read_json(&folder.path(CLASSES))?;
        manifest.classes = classes(&names, request, &mut extra)?;
    }
    (manifest.latent_mean, manifest.latent_std) = (config.latent_mean, config.latent_std);
    let tokenizer = Part { config: config.to_json(), weights };
    let card = match &request.card {
        Some(card) => card.clone(),
        None => card(request, &manifest, source.folder.parent().and_then(Path::parent), &source.folder)?,
    };
    write_folder(out, &Folder { manifest, tokenizer, generator, card, extra })
}

/// The classes with their names for people, and their thumbnails into `extra`.
fn classes(names: &[String], request: &Pack, extra: &mut BTreeMap<String, Vec<u8>>) -> Result<Vec<ClassEntry>> {
    let about = match &request.data {
        Some(data) => Split::find(data)?.about,
        None => Vec::new(),
    };
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let known = about.iter().find(|about| about.name == *name);
        let mut thumbnail = None;
        if let Some(dir) = &request.thumbnails {
            let found = ["webp", "png", "jpg"].map(|kind| format!("{name}.{kind}"));
            if let Some(file) = found.iter().find(|file| dir.join(file).is_file()) {
                let path = format!("thumbnails/{file}");
                extra.insert(
                    path.clone(),
                    fs::read(dir.join(file)).map_err(|e| Error::read(dir.join(file).display(), e))?,
                );
                thumbnail = Some(path);
            }
        }
        let label = known.map(|about| about.label.clone()).filter(|label| !label.is_empty());
        let slug = slug(name, &entries);
        entries.push(ClassEntry {
            name: slug,
            label: label.unwrap_or_else(|| name.replace(['-', '_'], " ")),
            group: known.map(|about| about.group.clone()).unwrap_or_default(),
            thumbnail,
        });
    }
    Ok(entries)
}

/// A folder's name as the name of a class: lower-case letters, digits and hyphens, unlike those taken.
fn slug(folder: &str, taken: &[ClassEntry]) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let plain: String = folder.chars().map(kept).collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let name = if words.is_empty() { "class".to_owned() } else { words.join("-") };
    let free = |name: &String| taken.iter().all(|entry| entry.name != *name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(free).expect("there is always another number")
}

/// A model card with what the runs know of themselves.
fn card(request: &Pack, manifest: &Manifest, run: Option<&Path>, checkpoint: &Path) -> Result<String> {
    let mut text = format!("# {}\n\n{}\n\nLicence: {}\n", manifest.title, manifest.origin, manifest.license);
    let parts = [("Tokenizer", run, Some(checkpoint.to_path_buf())), ("Generator", request.generator.as_deref(), None)];
    for (title, run, checkpoint) in parts {
        let Some(run) = run else { continue };
        let from = match checkpoint {
            Some(from) => Some(from),
            None => RunFolder::existing(run).latest()?.map(|(_, from)| from),
        };
        // A tokenizer from elsewhere has no run to tell of.
        let Some(state) = from.and_then(|from| read_state(&from).ok()) else { continue };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {title}\n\n{}", told(&state));
        for (name, value) in measured(run, state.step) {
            let _ = writeln!(text, "- {name}: {value}");
        }
    }
    Ok(text)
}

fn told(state: &State) -> String {
    format!(
        "- {} updates, {} pictures seen, {:.1} hours of training\n",
        state.step,
        state.images,
        state.seconds / 3600.0
    )
}

/// The last measurement up to `step` in a run's log.
fn measured(run: &Path, step: u64) -> Vec<(String, String)> {
    let text = fs::read_to_string(run.join(LOG)).unwrap_or_default();
    for (_, line) in log::lines(&text).rev().filter(|(at, _)| *at <= step) {
        let line = Value::Object(line);
        if let Some(psnr) = line["psnr"].as_f64() {
            let mut found =
                vec![("held-out PSNR".to_owned(), format!("{psnr:.2} dB over {} pictures", line["pictures"]))];
            let groups = line["psnr_by_group"].as_object().into_iter().flatten();
            found.extend(groups.map(|(name, value)| (format!("held-out PSNR, {name}"), format!("{value} dB"))));
            return found;
        }
        if let Some(loss) = line["held_out_loss"].as_f64() {
            return vec![("held-out velocity loss".to_owned(), format!("{loss:.4}"))];
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_gives_a_class_name_of_its_own() {
        let mut entries: Vec<ClassEntry> = Vec::new();
        for (folder, want) in [
            ("big-ears", "big-ears"),
            ("My Cats", "my-cats"),
            ("my_cats", "my-cats-2"),
            ("Dogs_2", "dogs-2"),
            ("猫", "class"),
            ("犬", "class-2"),
        ] {
            let name = slug(folder, &entries);
            assert_eq!(name, want);
            entries.push(ClassEntry { name, label: folder.into(), group: String::new(), thumbnail: None });
        }
    }
}
