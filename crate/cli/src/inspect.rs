//! `maetok inspect`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use maetok::Error;
use maetok::checkpoint::{LoadReport, ModelFiles, load, tensor_names};
use maetok::device::DeviceChoice;
use maetok::diffusion::GeneratorConfig;
use maetok::tokenizer::TokenizerConfig;
use serde_json::{Value, json};

use crate::files;

/// Arguments of `maetok inspect`.
#[derive(Args)]
pub struct Arguments {
    /// Model folder, folder of an official repository (config.json, model.safetensors), or safetensors file; - is the
    /// standard input.
    model: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// One network's weights.
struct Network {
    /// `tokenizer`, `generator`, or `unknown` for a file without a configuration.
    role: &'static str,
    bytes: usize,
    /// Name, type and shape of each tensor.
    tensors: Vec<(String, String, Vec<usize>)>,
    /// How the weights fit the configuration; `None` without one.
    report: Option<LoadReport>,
}

impl Network {
    /// Of weights alone, or of weights and the configuration they should fit. Where nobody says what they are, the keys
    /// do.
    fn read(weights: &[&[u8]], config: Option<&[u8]>, role: Option<&'static str>) -> Result<Self> {
        let mut tensors = Vec::new();
        for shard in weights {
            tensors.extend(tensor_names(shard)?);
        }
        let has = |end: &str| tensors.iter().any(|(name, ..)| name.ends_with(end));
        let role = role.unwrap_or_else(|| match (has("x_embedder.weight"), has("encoder.latent_tokens")) {
            (true, _) => "generator",
            (_, true) => "tokenizer",
            _ => "unknown",
        });
        let report = config.filter(|_| role != "unknown").map(|config| fit(role, config, weights)).transpose()?;
        Ok(Self { role, bytes: weights.iter().map(|shard| shard.len()).sum(), tensors, report })
    }

    fn parameters(&self) -> usize {
        self.tensors.iter().map(|(.., shape)| shape.iter().product::<usize>()).sum()
    }

    /// The storage types, each once.
    fn types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = self.tensors.iter().map(|(_, dtype, _)| dtype.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    fn json(&self) -> Value {
        let report = self.report.as_ref().map(|report| {
            let misshaped = report.misshaped.iter().map(|m| json!({ "name": m.name, "want": m.want, "got": m.got }));
            json!({
                "loaded": report.loaded, "missing": report.missing, "unused": report.unused,
                "misshaped": misshaped.collect::<Vec<_>>(), "nonfinite": report.nonfinite, "mistyped": report.mistyped,
            })
        });
        json!({
            "role": self.role, "bytes": self.bytes, "tensors": self.tensors.len(), "types": self.types(),
            "parameters": self.parameters(), "report": report,
        })
    }

    fn lines(&self) -> Vec<String> {
        let (tensors, millions) = (self.tensors.len(), self.parameters() as f64 / 1e6);
        let types = self.types().join(", ");
        let size = megabytes(self.bytes);
        let mut lines =
            vec![format!("{}: {tensors} tensors, {millions:.2} million numbers, {size} as {types}", self.role)];
        let Some(report) = &self.report else { return lines };
        let listed = problems(report);
        let counts = listed.iter().map(|(what, names)| format!(", {} {what}", names.len())).collect::<String>();
        lines.push(format!("  keys: {} tensors loaded{counts}", report.loaded));
        for (what, names) in &listed {
            lines.extend(names.iter().map(|name| format!("  {what}: {name}")));
        }
        lines
    }
}

/// Every tensor that is not as it should be, by what is wrong with it.
fn problems(report: &LoadReport) -> Vec<(&'static str, Vec<String>)> {
    let misshaped =
        report.misshaped.iter().map(|m| format!("{} (the model has {:?}, the file {:?})", m.name, m.want, m.got));
    let mut problems = vec![
        ("missing", report.missing.clone()),
        ("mis-shaped", misshaped.collect()),
        ("non-finite", report.nonfinite.clone()),
        (LoadReport::MISTYPED, report.mistyped.clone()),
        ("unused", report.unused.clone()),
    ];
    problems.retain(|(_, names)| !names.is_empty());
    problems
}

/// How the weights fit the configuration; a misfit is an answer here, not an error.
fn fit(role: &str, config: &[u8], weights: &[&[u8]]) -> Result<LoadReport> {
    let (device, _) = files::device(DeviceChoice::Cpu)?;
    let loaded = if role == "generator" {
        load(GeneratorConfig::from_json(config)?.init(&device)?, weights).map(|(_, report)| report)
    } else {
        load(TokenizerConfig::from_json(config)?.init(&device)?, weights).map(|(_, report)| report)
    };
    match loaded {
        Err(Error::WeightsMismatch { report }) => Ok(*report),
        other => Ok(other?),
    }
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.model;
    let (about, networks) = if path.join("manifest.json").is_file() {
        model_folder(path)?
    } else if path.is_dir() {
        (Vec::new(), vec![official_folder(path)?])
    } else {
        let bytes = files::input(path, files::WEIGHTS)?;
        (Vec::new(), vec![Network::read(&[&bytes], None, None)?])
    };
    if arguments.json {
        let mut all = serde_json::Map::new();
        all.extend(about);
        all.insert("networks".to_owned(), networks.iter().map(Network::json).collect());
        files::print(&Value::Object(all).to_string())?;
    } else {
        for (name, value) in &about {
            files::print(&line(name, value))?;
        }
        for line in networks.iter().flat_map(Network::lines) {
            files::print(&line)?;
        }
    }
    match networks.iter().find(|network| network.report.as_ref().is_some_and(|report| !report.is_complete())) {
        // Its tensors are named above.
        Some(network) => bail!("The weights of the {} do not fit its configuration.", network.role),
        None => Ok(()),
    }
}

fn line(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{name}: {text}"),
        Value::Array(items) => {
            let names: Vec<String> = items
                .iter()
                .enumerate()
                .map(|(at, item)| format!("{at} {}", item.as_str().unwrap_or_default()))
                .collect();
            format!("{name}: {}", names.join(", "))
        }
        other => format!("{name}: {other}"),
    }
}

/// What a manifest says, by field name.
type About = Vec<(String, Value)>;

fn model_folder(path: &Path) -> Result<(About, Vec<Network>)> {
    let files = ModelFiles::from_folder(path)?;
    let manifest = &files.manifest;
    let mut networks = Vec::new();
    let generator = manifest.generator.iter().map(|entry| ("generator", entry));
    for (role, entry) in std::iter::once(("tokenizer", &manifest.tokenizer)).chain(generator) {
        let shards = entry.weights.iter().map(|path| files.file(path)).collect::<maetok::Result<Vec<_>>>()?;
        networks.push(Network::read(&shards, Some(files.file(&entry.config)?), Some(role))?);
    }
    let total: u64 = manifest.files.iter().map(|file| file.size).sum();
    let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    let about = vec![
        text("name", &manifest.name),
        text("title", &manifest.title),
        text("license", &manifest.license),
        text("origin", &manifest.origin),
        ("image_size".to_owned(), manifest.image_size.into()),
        ("files".to_owned(), manifest.files.len().into()),
        ("bytes".to_owned(), total.into()),
        ("latent_mean".to_owned(), manifest.latent_mean.into()),
        ("latent_std".to_owned(), manifest.latent_std.into()),
        ("classes".to_owned(), manifest.classes.iter().map(|class| Value::from(class.name.as_str())).collect()),
    ];
    Ok((about, networks))
}

/// All safetensors files of a folder, in order of name, with its `config.json` if there is one.
fn official_folder(path: &Path) -> Result<Network> {
    let entries = fs::read_dir(path).map_err(|e| Error::read(path.display(), e))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        bail!("The folder {} holds neither a manifest.json nor a safetensors file.", path.display());
    }
    let shards = paths.iter().map(|path| files::input(path, files::WEIGHTS)).collect::<Result<Vec<_>>>()?;
    let at = path.join("config.json");
    let config = if at.is_file() { Some(files::input(&at, files::SMALL)?) } else { None };
    let shards: Vec<&[u8]> = shards.iter().map(Vec::as_slice).collect();
    Network::read(&shards, config.as_deref(), None)
}
