//! Recipes: what a training run does, as a TOML file.
//!
//! `[model]` holds the flat fields of the model's `config.json`, `[training]` the fields of the run's `run.json`. What
//! is left out keeps the value of the recipe named by `base`, or else its default. A name that means nothing is an
//! error: a misspelt setting would otherwise train for hours with its default.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use maetok::Error;
use maetok::diffusion::GeneratorConfig;
use maetok::tokenizer::TokenizerConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use toml::de::DeTable;
use toml::{Table, Value};

use crate::files;

/// Recipes that come with the program, by what they are for.
pub struct Shelf(&'static [(&'static str, &'static str)]);

/// Of tokenizers.
pub const TOKENIZERS: Shelf = Shelf(&[
    ("toon-128", include_str!("../../recipes/tokenizer/toon-128.toml")),
    ("toon-128-decoder", include_str!("../../recipes/tokenizer/toon-128-decoder.toml")),
    ("toon-128-plain", include_str!("../../recipes/tokenizer/toon-128-plain.toml")),
    ("toon-128-kl", include_str!("../../recipes/tokenizer/toon-128-kl.toml")),
    ("toon-64", include_str!("../../recipes/tokenizer/toon-64.toml")),
    ("toon-64-full", include_str!("../../recipes/tokenizer/toon-64-full.toml")),
    ("toon-64-decoder", include_str!("../../recipes/tokenizer/toon-64-decoder.toml")),
    ("toon-64-plain", include_str!("../../recipes/tokenizer/toon-64-plain.toml")),
    ("toon-64-kl", include_str!("../../recipes/tokenizer/toon-64-kl.toml")),
    ("base-256", include_str!("../../recipes/tokenizer/base-256.toml")),
    ("base-256-decoder", include_str!("../../recipes/tokenizer/base-256-decoder.toml")),
]);

/// Of generators.
pub const GENERATORS: Shelf = Shelf(&[
    ("toon-128", include_str!("../../recipes/diffusion/toon-128.toml")),
    ("toon-64", include_str!("../../recipes/diffusion/toon-64.toml")),
    ("lightningdit-64", include_str!("../../recipes/diffusion/lightningdit-64.toml")),
    ("xl", include_str!("../../recipes/diffusion/xl.toml")),
]);

/// Bases of bases; more is a circle.
const DEPTH: usize = 8;

/// A recipe, read.
#[derive(Debug)]
pub struct Recipe<S> {
    /// Settings of the run.
    pub training: S,
    model: Map<String, Json>,
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base: Option<String>,
    #[serde(default)]
    model: Table,
    #[serde(default)]
    training: Table,
}

impl Shelf {
    /// Reads the recipe of this name, or the file.
    ///
    /// # Errors
    /// If there is neither, or it is no recipe: with the names there are, or the line and what is wrong with it.
    pub fn read<S: DeserializeOwned>(&self, name: &str) -> Result<Recipe<S>> {
        let (File { model, training, .. }, sources) = self.resolved(name)?;
        let mut unknown = Vec::new();
        let note = |path: serde_ignored::Path| unknown.push(path.to_string());
        let training = serde_ignored::deserialize(Value::Table(training), note).map_err(|error: toml::de::Error| {
            // Where a value has lost its place in the text, the error still names its key, on a line of its own.
            let text = error.to_string();
            let key = text.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
            let key = key.map_or_else(|| "training".to_owned(), |key| format!("training.{key}"));
            anyhow!("{}: {key} cannot be used: {}.", sources.place(&key), error.message())
        })?;
        if let Some(first) = unknown.first() {
            let key = format!("training.{first}");
            bail!("{}: there is no setting {key}.", sources.place(&key));
        }
        let Json::Object(model) = serde_json::to_value(model)? else { unreachable!("a table is an object") };
        Ok(Recipe { training, model, sources })
    }

    /// The file with what it takes from its bases, and all their texts.
    fn resolved(&self, name: &str) -> Result<(File, Sources)> {
        let (mut file, text) = self.file(name)?;
        let mut sources = Sources(vec![(name.to_owned(), text)]);
        for _ in 0..DEPTH {
            let Some(base) = file.base.take() else { return Ok((file, sources)) };
            let (below, text) =
                self.file(&base).with_context(|| format!("{} cannot be followed", sources.place("base")))?;
            file = File {
                base: below.base,
                model: over(below.model, file.model),
                training: over(below.training, file.training),
            };
            sources.0.push((base, text));
        }
        bail!("The bases of the recipe {name} go round in a circle.")
    }

    fn file(&self, name: &str) -> Result<(File, String)> {
        let path = Path::new(name);
        let text = match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => (*text).to_owned(),
            None if path.is_file() => String::from_utf8(files::input(path, files::SMALL)?)
                .with_context(|| format!("The recipe {name} is no text in UTF-8"))?,
            None => {
                let known: Vec<&str> = self.0.iter().map(|(known, _)| *known).collect();
                bail!("There is no recipe {name}: it is neither a file nor one of {}.", known.join(", "));
            }
        };
        let file = toml::from_str(&text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| format!(" in line {}", line(&text, span.start)));
            anyhow!("The recipe {name} is wrong{place}: {}.", error.message())
        })?;
        Ok((file, text))
    }
}

impl<S> Recipe<S> {
    /// The configuration of a tokenizer.
    ///
    /// # Errors
    /// If a field is missing, out of range, or none that a configuration has.
    pub fn tokenizer(&self) -> Result<TokenizerConfig> {
        let config = self.followed(TokenizerConfig::from_json(&serde_json::to_vec(&self.model)?))?;
        self.check(&config.to_json())?;
        Ok(config)
    }

    /// The configuration of a generator; tokens, channels and classes are those of a tokenizer and pictures that the
    /// recipe does not know.
    ///
    /// # Errors
    /// As [`tokenizer`](Self::tokenizer).
    pub fn generator(&self) -> Result<GeneratorConfig> {
        let mut model = self.model.clone();
        for unknown in ["input_size", "in_channels", "num_classes"] {
            model.entry(unknown).or_insert(1.into());
        }
        let config = self.followed(GeneratorConfig::from_json(&serde_json::to_vec(&model)?))?;
        self.check(&config.to_json())?;
        Ok(config)
    }

    /// Says which line asks for what the model refuses.
    fn followed<T>(&self, read: maetok::Result<T>) -> Result<T> {
        read.map_err(|error| {
            let place = match &error {
                Error::Config { field, .. } => self.sources.place(&format!("model.{field}")),
                _ => self.sources.place("model"),
            };
            anyhow::Error::new(error).context(format!("{place} cannot be followed"))
        })
    }

    fn check(&self, config: &str) -> Result<()> {
        let known: Map<String, Json> = serde_json::from_str(config)?;
        match self.model.keys().find(|field| !known.contains_key(*field)) {
            Some(field) => {
                let key = format!("model.{field}");
                bail!("{}: there is no setting {key}.", self.sources.place(&key))
            }
            None => Ok(()),
        }
    }
}

/// Name and text of a recipe and of its bases, what wins first.
#[derive(Debug)]
struct Sources(Vec<(String, String)>);

impl Sources {
    /// Where a setting is made, as the beginning of a sentence.
    fn place(&self, key: &str) -> String {
        let found = |(name, text): &(String, String)| {
            Some(format!("Line {} of the recipe {name}", line(text, position(text, key)?)))
        };
        self.0.iter().find_map(found).unwrap_or_else(|| format!("The recipe {}", self.0[0].0))
    }
}

/// Where in `text` a dotted key is.
fn position(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = Some(document.get_ref());
    let mut at = None;
    for part in key.split('.') {
        let (name, value) = table?.iter().find(|(name, _)| name.get_ref().as_ref() == part)?;
        at = Some(name.span().start);
        table = value.get_ref().as_table();
    }
    at
}

/// The number of the line in which a byte of `text` is.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// `upper` where it says something, otherwise `lower`; tables within tables likewise.
fn over(mut lower: Table, upper: Table) -> Table {
    for (key, value) in upper {
        let value = match (lower.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => Value::Table(over(below, above)),
            (_, value) => value,
        };
        lower.insert(key, value);
    }
    lower
}

#[cfg(test)]
mod tests {
    use maetok::diffusion::{LightningConfig, SitConfig};
    use maetok::tokenizer::TargetKind;
    use maetok::train::adversarial::AdversarialSettings;
    use maetok::train::{AdversarialKind, DiffusionTraining, PerceptualKind, TokenizerTraining};

    use super::*;
    use crate::refusal;

    #[test]
    fn every_recipe_of_ours_can_be_followed() {
        for (name, _) in TOKENIZERS.0 {
            let recipe = TOKENIZERS.read::<TokenizerTraining>(name).unwrap();
            recipe.tokenizer().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for (name, _) in GENERATORS.0 {
            let recipe = GENERATORS.read::<DiffusionTraining>(name).unwrap();
            recipe.generator().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn the_baselines_differ_from_the_masked_tokenizer_in_what_they_leave_out_only() {
        let read = |name: &str| {
            let recipe = TOKENIZERS.read::<TokenizerTraining>(name).unwrap();
            (recipe.training.clone(), recipe.tokenizer().unwrap())
        };
        for toon in ["toon-128", "toon-64"] {
            let (masked, masked_config) = read(toon);
            assert!(masked_config.token_drop.is_some() && masked.hog > 0.0);
            let (plain, plain_config) = read(&format!("{toon}-plain"));
            assert_eq!(plain_config, TokenizerConfig { token_drop: None, ..masked_config.clone() });
            assert_eq!(plain, TokenizerTraining { hog: 0.0, unmask_from: Some(1.0), ..masked.clone() });
            let (kl, kl_config) = read(&format!("{toon}-kl"));
            assert_eq!(kl_config, TokenizerConfig { token_drop: None, kl: true, ..masked_config });
            assert_eq!(kl, plain);
        }
    }

    #[test]
    fn the_recipes_of_toon_are_the_presets_of_the_library() {
        for (name, preset) in [("toon-128", TokenizerConfig::toon_128()), ("toon-64", TokenizerConfig::toon_64())] {
            assert_eq!(tokenizer(name).1, preset, "{name}");
        }
        for (name, tokens, preset) in [
            ("toon-128", 16, GeneratorConfig::from(SitConfig::toon_128(1))),
            ("toon-64", 32, GeneratorConfig::from(SitConfig::toon(1))),
            ("lightningdit-64", 32, GeneratorConfig::from(LightningConfig::toon(1))),
        ] {
            let recipe = GENERATORS.read::<DiffusionTraining>(name).unwrap();
            assert_eq!(recipe.generator().unwrap().with_latents(tokens, 16, 1), preset, "{name}");
        }
    }

    fn tokenizer(name: &str) -> (TokenizerTraining, TokenizerConfig) {
        let recipe = TOKENIZERS.read::<TokenizerTraining>(name).unwrap();
        (recipe.training.clone(), recipe.tokenizer().unwrap())
    }

    #[test]
    fn base_256_is_the_papers_tokenizer_with_every_term_of_its_training() {
        let (run, config) = tokenizer("base-256");
        assert_eq!(config, TokenizerConfig::base_128(256));
        let teachers: Vec<_> = run.teachers.iter().map(|teacher| (teacher.kind, teacher.weight)).collect();
        assert_eq!(teachers, [(TargetKind::Dino, 1.0), (TargetKind::Clip, 1.0)]);
        assert_eq!((run.hog, run.drop_path, run.clip), (1.0, 0.05, 1.0));
        assert_eq!(run.perceptual.kind, PerceptualKind::Lpips);
        assert_eq!([0, 5_000, 10_000, 20_000].map(|step| run.perceptual.weight_at(step)), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!((run.adversarial.kind, run.adversarial.adaptive), (AdversarialKind::Dino, true));
        assert_eq!(run.adversarial.settings(), AdversarialSettings::default(), "the official numbers");
    }

    #[test]
    fn the_shipped_decoder_learns_looks_on_whole_pictures_with_the_encoder_kept() {
        let ((_, of_first), (run, config)) = (tokenizer("toon-128"), tokenizer("toon-128-decoder"));
        assert!(run.freeze_encoder && run.unmask_from == Some(0.0) && run.hog == 0.0);
        assert_eq!(config, TokenizerConfig { token_drop: None, ..of_first });
        assert_eq!(run.perceptual.kind, PerceptualKind::EfficientNet);
        assert_eq!(run.adversarial.kind, AdversarialKind::Patch);
    }

    #[test]
    fn the_second_stages_keep_the_encoder_and_see_ever_more_of_the_picture() {
        for (first, second) in [("toon-64-full", "toon-64-decoder"), ("base-256", "base-256-decoder")] {
            let ((_, of_first), (run, config)) = (tokenizer(first), tokenizer(second));
            assert!(run.freeze_encoder && run.unmask_from == Some(0.0), "{second}");
            assert_eq!(TokenizerConfig { token_drop: of_first.token_drop, ..config.clone() }, of_first, "{second}");
            assert_eq!(config.token_drop, Some((0.6, 0.6)), "{second}: from 60 % down");
            assert!(run.hog == 0.0 && run.teachers.is_empty(), "{second}: no auxiliary decoders");
            assert!(run.perceptual.kind != PerceptualKind::None, "{second}");
            assert!(run.adversarial.kind != AdversarialKind::None, "{second}");
        }
        assert_eq!(tokenizer("base-256-decoder").0.pace.steps, 50_000);
    }

    #[test]
    fn the_first_stage_of_the_shipped_model_has_none_of_the_later_terms() {
        let (run, _) = tokenizer("toon-128");
        let none = TokenizerTraining::default();
        assert_eq!((run.perceptual, run.adversarial), (none.perceptual, none.adversarial));
        assert!(run.teachers.is_empty() && run.drop_path == 0.0 && run.init_from.is_none());
    }

    /// What a recipe of this text is answered with; its path is called RECIPE.
    fn refused(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recipe.toml");
        std::fs::write(&path, text).unwrap();
        let read = TOKENIZERS.read::<TokenizerTraining>(path.to_str().unwrap());
        let error = read.and_then(|recipe| recipe.tokenizer()).expect_err(text);
        refusal::of_error(&error).replace(path.to_str().unwrap(), "RECIPE")
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            (
                "base = \"toon-64\"\n[training]\nbatsh = 3",
                "Line 3 of the recipe RECIPE: there is no setting training.batsh.",
            ),
            (
                "base = \"toon-64\"\n[training.perceptual]\nkind = \"lpips\"\nfile = \"a\"",
                "Line 4 of the recipe RECIPE: there is no setting training.perceptual.file.",
            ),
            (
                "[training]\nadversarial = { kind = \"vgg\" }",
                "Line 2 of the recipe RECIPE: training.adversarial.kind cannot be used: unknown variant `vgg`, expected one of `none`, `patch`, `dino`.",
            ),
            (
                "base = \"toon-64\"\n\n[model]\nimage_sise = 32",
                "Line 4 of the recipe RECIPE: there is no setting model.image_sise.",
            ),
            (
                "[training]\nschedule = { peek = 1.0 }",
                "Line 2 of the recipe RECIPE: training.schedule cannot be used: missing field `peak`.",
            ),
            (
                "[training]\nbatch = \"many\"",
                "Line 2 of the recipe RECIPE: training.batch cannot be used: invalid type: string \"many\", expected usize.",
            ),
        ] {
            assert_eq!(refused(text), said);
        }
        for (text, start, part) in [
            ("[trainig]\nbatch = 3", "The recipe RECIPE is wrong in line 1: ", "trainig"),
            ("base = \"toon-64\"\n[training\n", "The recipe RECIPE is wrong in line 2: ", "expected `]`"),
            (
                "base = \"toon-64\"\n[model]\nimage_size = 33",
                "Line 3 of the recipe RECIPE cannot be followed: the ",
                "image_size = 33",
            ),
            (
                "base = \"toon-63\"",
                "Line 1 of the recipe RECIPE cannot be followed: there is no recipe toon-63",
                "toon-64-kl",
            ),
        ] {
            let message = refused(text);
            assert!(message.starts_with(start) && message.contains(part) && message.ends_with('.'), "{message}");
        }
    }

    #[test]
    fn a_recipe_that_is_not_there_is_answered_with_those_that_are() {
        let message = TOKENIZERS.read::<TokenizerTraining>("toon-63").map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("toon-63") && message.contains("toon-64-plain"), "{message}");
    }
}
