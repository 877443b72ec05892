//! Samples of a model, or pictures from elsewhere, beside held-out pictures.
//!
//! Every set is judged alike: Fréchet distance ("gFID") to training pictures, precision and recall, class accuracy, and
//! nearness to training pictures ([`novelty`]). Beside the samples stand, by default with as many pictures in the same
//! classes: held-out pictures, the best a generator could do; the same through the tokenizer, the best it could do with
//! this decoder; and training pictures through the tokenizer, which is what copies would look like.
//!
//! The distance is to training pictures, as usual, because they are what the generator models, and many: a distance
//! grows as its reference gets smaller. [`Against::HeldOut`] asks for the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use image::RgbImage;
use serde::Serialize;

use super::mix::{Mix, allocate, choose};
use super::novelty::{self, Distances, Nearness};
use super::verdict::{Reference, Seen, Verdict};
use super::{Data, FEWEST, Judge, Told, Watch, draws, pixels, reconstruction};
use crate::checkpoint::write_atomically;
use crate::image::encode_png;
use crate::pipeline::{Pipeline, SampleRequest};
use crate::sampler::SamplerKind;
use crate::train::data::Pictures;
use crate::{Error, Result};

/// Samples where nobody says how many, if there are more held-out pictures.
const MOST_BY_DEFAULT: usize = 2000;
/// Most samples.
const MOST: usize = 100_000;

/// What the Fréchet distance is to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The training pictures of the reference.
    #[default]
    Training,
    /// The held-out pictures.
    HeldOut,
}

impl FromStr for Against {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "training" => Ok(Self::Training),
            "held-out" => Ok(Self::HeldOut),
            _ => Err(Error::setting("against", text, "training or held-out")),
        }
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Samples in a set; `None` for as many as there are held-out pictures, at most 2,000.
    pub samples: Option<usize>,
    /// How to sample; the class is not looked at, and the seed is the first sample's. Guided samples come beside those at
    /// guidance 1.
    pub sampling: SampleRequest,
    /// Training pictures of the reference; more than there are counts as all.
    pub fit: usize,
    /// Shares of the classes in samples and reference.
    pub mix: Mix,
    /// What the Fréchet distance is to.
    pub against: Against,
    /// A folder `class/*.png` to measure instead of samples of the model.
    pub pictures: Option<PathBuf>,
    /// Folder to keep the samples in, as `guidance-2/class/seed.png`.
    pub keep: Option<PathBuf>,
}

/// One set of pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Set {
    /// "held-out", "held-out, reconstructed", "training, reconstructed", "guidance 1" and so on, or "pictures".
    pub name: String,
    /// Guidance of samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// What features say.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How near it is to training pictures, over all classes and by group.
    pub nearness: Vec<Nearness>,
}

/// How samples were drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampling {
    /// The first sample's.
    pub seed: u64,
    /// Steps from noise to picture.
    pub steps: usize,
    /// Integrator.
    pub sampler: SamplerKind,
    /// Times between which guidance applies.
    pub interval: (f64, f64),
}

/// All sets, and what they were measured with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// None where pictures from elsewhere were measured.
    pub sampling: Option<Sampling>,
    /// Shares of the classes.
    pub mix: Mix,
    /// What the Fréchet distance is to.
    pub against: Against,
    /// Training pictures of the reference: of accuracy, precision, recall, nearness by features.
    pub reference: usize,
    /// All training pictures: those of nearness by pixels.
    pub training: usize,
    /// Side in pixels at which the network looks at pictures.
    pub feature_side: usize,
    /// Files that were left out.
    pub notices: Vec<String>,
    /// See [`Set`].
    pub sets: Vec<Set>,
}

/// A set before it is judged.
struct Shown {
    name: String,
    guidance: Option<f64>,
    pictures: Vec<RgbImage>,
    labels: Vec<usize>,
}

impl Settings {
    /// Checks everything that can be checked without the data, and that there is a generator where one is needed.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of range.
    pub fn validate(&self, pipeline: &Pipeline) -> Result<()> {
        if self.samples.is_some_and(|samples| !(FEWEST..=MOST).contains(&samples)) {
            let got = self.samples.unwrap_or_default();
            return Err(Error::setting("samples", got, format!("from {FEWEST} to {MOST}")));
        }
        if self.fit < FEWEST {
            return Err(Error::setting("fit", self.fit, format!("a number of pictures, {FEWEST} or more")));
        }
        if self.pictures.is_none() {
            pipeline.start(SampleRequest { class: 0, ..self.sampling.clone() })?;
        }
        Ok(())
    }
}

/// Measures.
///
/// # Errors
/// As [`Settings::validate`]; [`Error::Training`] if the model lacks a class of the data or the folder of pictures cannot
/// be used; what files and device give.
pub fn measure(
    pipeline: &Pipeline,
    judge: &Judge,
    data: &Data,
    settings: &Settings,
    watch: Watch<'_>,
) -> Result<Report> {
    settings.validate(pipeline)?;
    let weights = data.weights(settings.mix);
    let chosen = choose(&data.train.labels, &allocate(settings.fit, &weights));
    let mut notices = data.notices();
    let shown = match &settings.pictures {
        Some(folder) => vec![pictures(folder, data, &mut notices)?],
        None => drawn(pipeline, judge, data, settings, &chosen, watch)?,
    };
    let many = allocate(shown[0].pictures.len(), &weights);
    let mut sets = vec![held_out(data)];
    sets.push(through_tokenizer(pipeline, judge, &sets[0], watch)?);
    let copies = training(data, &choose(&data.train.labels, &many));
    sets.push(through_tokenizer(pipeline, judge, &copies, watch)?);
    sets.extend(shown);
    let sets = judged(judge, data, settings.against, &chosen, sets, watch)?;
    let SampleRequest { seed, steps, sampler, interval, .. } = settings.sampling;
    Ok(Report {
        sampling: settings.pictures.is_none().then_some(Sampling { seed, steps, sampler, interval }),
        mix: settings.mix,
        against: settings.against,
        reference: chosen.len(),
        training: data.train.len(),
        feature_side: judge.side(),
        notices,
        sets,
    })
}

/// Samples without guidance, and with it.
fn drawn(
    pipeline: &Pipeline,
    judge: &Judge,
    data: &Data,
    settings: &Settings,
    chosen: &[usize],
    watch: Watch<'_>,
) -> Result<Vec<Shown>> {
    let classes = draws::model_classes(data, pipeline)?;
    let samples = settings.samples.unwrap_or_else(|| data.held_out.len().min(MOST_BY_DEFAULT));
    watch(Told::Estimate(estimate(pipeline, judge, data, settings, samples, chosen)?));
    let labels = labels(data, settings.mix, samples);
    let asked: Vec<usize> = labels.iter().map(|label| classes[*label]).collect();
    let mut sets = Vec::new();
    for guidance in scales(settings.sampling.guidance) {
        let template = SampleRequest { guidance, ..settings.sampling.clone() };
        let pictures = draws::draw(pipeline, &asked, &template, judge.device(), watch)?;
        let name = format!("guidance {guidance}");
        if let Some(folder) = &settings.keep {
            keep(&folder.join(name.replace(' ', "-")), &pictures, &labels, &template, data.classes())?;
        }
        sets.push(Shown { name, guidance: Some(guidance), pictures, labels: labels.clone() });
    }
    Ok(sets)
}

/// 1, and the guidance asked for where it is another.
fn scales(guidance: f64) -> Vec<f64> {
    if guidance > 1.0 { vec![1.0, guidance] } else { vec![1.0] }
}

fn estimate(
    pipeline: &Pipeline,
    judge: &Judge,
    data: &Data,
    settings: &Settings,
    samples: usize,
    chosen: &[usize],
) -> Result<f64> {
    let scales = scales(settings.sampling.guidance);
    let reference = if judge.knows(&data.train, chosen) { 0 } else { chosen.len() };
    // Reconstructing takes as long as looking, more or less.
    let looks = reference + 3 * data.held_out.len() + 2 * samples + scales.len() * samples;
    let calls: usize = scales
        .iter()
        .map(|guidance| 1 + draws::calls(&SampleRequest { guidance: *guidance, ..settings.sampling.clone() }))
        .sum();
    let [look, call] =
        [judge.seconds_per_picture(data.train.size)?, draws::seconds_per_call(pipeline, judge.device())?];
    Ok(look * looks as f64 + call * (calls * samples) as f64)
}

fn held_out(data: &Data) -> Shown {
    let pictures = (0..data.held_out.len()).map(|at| data.held_out.rgb(at)).collect();
    Shown { name: "held-out".to_owned(), guidance: None, pictures, labels: data.held_out.labels.clone() }
}

fn training(data: &Data, chosen: &[usize]) -> Shown {
    let (pictures, labels) = chosen.iter().map(|at| (data.train.rgb(*at), data.train.labels[*at])).unzip();
    Shown { name: "training".to_owned(), guidance: None, pictures, labels }
}

fn through_tokenizer(pipeline: &Pipeline, judge: &Judge, set: &Shown, watch: Watch<'_>) -> Result<Shown> {
    let pictures = &set.pictures;
    let copies =
        reconstruction::reconstructed(pipeline, pictures.len(), |at| pictures[at].clone(), judge.device(), watch)?;
    Ok(Shown {
        name: format!("{}, reconstructed", set.name),
        guidance: None,
        pictures: copies.into_iter().map(|copy| copy.picture).collect(),
        labels: set.labels.clone(),
    })
}

/// Pictures made elsewhere.
fn pictures(folder: &Path, data: &Data, notices: &mut Vec<String>) -> Result<Shown> {
    let read = Pictures::read(folder, data.train.size, Some(data.classes()))?;
    if read.len() < FEWEST {
        let problem =
            format!("{} has {} pictures, but {FEWEST} are the fewest to measure", folder.display(), read.len());
        return Err(Error::training(problem));
    }
    notices.extend(read.notices());
    let pictures = (0..read.len()).map(|at| read.rgb(at)).collect();
    Ok(Shown { name: "pictures".to_owned(), guidance: None, pictures, labels: read.labels.clone() })
}

/// Writes samples as `folder/class/seed.png`.
fn keep(
    folder: &Path,
    drawn: &[RgbImage],
    labels: &[usize],
    template: &SampleRequest,
    classes: &[String],
) -> Result<()> {
    for (at, (picture, label)) in drawn.iter().zip(labels).enumerate() {
        let class = folder.join(&classes[*label]);
        fs::create_dir_all(&class).map_err(|e| Error::write(class.display(), e))?;
        write_atomically(&class.join(format!("{:08}.png", draws::seed(template, at))), &encode_png(picture)?)?;
    }
    Ok(())
}

/// The sets, of which the first is that of held-out pictures and the second the same through the tokenizer.
fn judged(
    judge: &Judge,
    data: &Data,
    against: Against,
    chosen: &[usize],
    sets: Vec<Shown>,
    watch: Watch<'_>,
) -> Result<Vec<Set>> {
    let features = judge.features_of(&data.train, chosen, watch)?;
    let training = Seen { features, labels: chosen.iter().map(|at| data.train.labels[*at]).collect() };
    let mut seen = Vec::with_capacity(sets.len());
    for (at, set) in sets.iter().enumerate() {
        let features = if at == 0 {
            judge.features_of(&data.held_out, &(0..data.held_out.len()).collect::<Vec<_>>(), watch)?
        } else {
            judge.features(set.pictures.len(), |at| set.pictures[at].clone(), watch)?
        };
        seen.push(Seen { features, labels: set.labels.clone() });
    }
    let every: Vec<&RgbImage> = sets.iter().flat_map(|set| &set.pictures).collect();
    let mut far = pixels::nearest(every.len(), |at| every[at].clone(), &data.train, judge.device(), watch).into_iter();

    let groups = data.groups();
    let of = (against == Against::HeldOut).then_some(&seen[0]);
    let reference = Reference::new(training, of, data.classes(), &groups, judge.device());
    let mut verdicts = Vec::with_capacity(sets.len());
    for (done, set) in seen.iter().enumerate() {
        watch(Told::Progress { what: "sets judged", done, of: seen.len() });
        let (mut verdict, features) = reference.judge(set);
        if against == Against::HeldOut && done == 0 {
            verdict.frechet = None;
        }
        let pixels = far.by_ref().take(set.labels.len()).collect();
        verdicts.push((verdict, Distances { features, pixels, labels: set.labels.clone() }));
    }
    watch(Told::Progress { what: "sets judged", done: seen.len(), of: seen.len() });
    // Held-out pictures as they are beside themselves, everything else beside what went through a decoder as well.
    let (as_they_are, decoded) = (verdicts[0].1.clone(), verdicts[1].1.clone());
    let set = |(at, (set, (verdict, distances))): (usize, (Shown, (Verdict, Distances)))| Set {
        name: set.name,
        guidance: set.guidance,
        verdict,
        nearness: novelty::compare(&distances, if at == 0 { &as_they_are } else { &decoded }, &groups),
    };
    Ok(sets.into_iter().zip(verdicts).enumerate().map(set).collect())
}

/// The classes of `samples` samples in a mix, class after class.
pub(super) fn labels(data: &Data, mix: Mix, samples: usize) -> Vec<usize> {
    let counts = allocate(samples, &data.weights(mix));
    counts.iter().enumerate().flat_map(|(class, count)| vec![class; *count]).collect()
}
