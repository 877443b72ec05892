//! Guidance scales and intervals on the same noises and labels: which suits a generator.
//!
//! The best is that with the lowest Fréchet distance. With few samples distances are far too large, but all of them alike:
//! they rank the settings, and say nothing beside a distance of another number of samples.

use serde::Serialize;

use super::mix::{Mix, allocate, choose};
use super::samples::labels;
use super::verdict::{Reference, Seen};
use super::{Data, FEWEST, Judge, Told, Watch, draws};
use crate::pipeline::{Pipeline, SampleRequest};
use crate::sampler::SamplerKind;
use crate::{Error, Result};

/// Most samples of a setting.
const MOST: usize = 100_000;

/// What to try.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Samples of each setting.
    pub samples: usize,
    /// How to sample; class, guidance and interval are not looked at, and the seed is the first sample's.
    pub sampling: SampleRequest,
    /// Guidance scales.
    pub scales: Vec<f64>,
    /// Times between which guidance applies.
    pub intervals: Vec<(f64, f64)>,
    /// Training pictures of the reference.
    pub fit: usize,
    /// Shares of the classes in samples and reference.
    pub mix: Mix,
}

/// What one setting gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Guidance scale; 1 is none.
    pub guidance: f64,
    /// Times between which it applies.
    pub interval: (f64, f64),
    /// Fréchet distance to the training pictures.
    pub frechet: f64,
    /// Share of the samples that show their class.
    pub accuracy: f64,
    /// The same, averaged over the classes.
    pub accuracy_mean_of_classes: f64,
}

/// All settings, and what they were measured with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Samples of each setting.
    pub samples: usize,
    /// First seed.
    pub seed: u64,
    /// Steps from noise to picture.
    pub steps: usize,
    /// Integrator.
    pub sampler: SamplerKind,
    /// Shares of the classes.
    pub mix: Mix,
    /// Training pictures of the reference.
    pub reference: usize,
    /// Side in pixels at which the network looks at pictures.
    pub feature_side: usize,
    /// No guidance first, then scale by scale.
    pub cells: Vec<Cell>,
    /// The cell with the lowest distance.
    pub best: Cell,
}

impl Settings {
    /// Every request, no guidance first; each once.
    fn requests(&self) -> Vec<SampleRequest> {
        let request = |guidance, interval| SampleRequest { class: 0, guidance, interval, ..self.sampling.clone() };
        let mut all = vec![request(1.0, (0.0, 1.0))];
        for scale in self.scales.iter().filter(|scale| **scale != 1.0) {
            for interval in &self.intervals {
                let request = request(*scale, *interval);
                if !all.contains(&request) {
                    all.push(request);
                }
            }
        }
        all
    }

    /// Checks everything that can be checked without the data, and that there is a generator.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of range.
    pub fn validate(&self, pipeline: &Pipeline) -> Result<()> {
        if !(FEWEST..=MOST).contains(&self.samples) {
            return Err(Error::setting("samples", self.samples, format!("from {FEWEST} to {MOST}")));
        }
        if self.fit < FEWEST {
            return Err(Error::setting("fit", self.fit, format!("a number of pictures, {FEWEST} or more")));
        }
        self.requests().into_iter().try_for_each(|request| pipeline.start(request).map(drop))
    }
}

/// Tries every setting.
///
/// # Errors
/// As [`Settings::validate`]; [`Error::Training`] if the model lacks a class of the data; what the device gives.
pub fn measure(
    pipeline: &Pipeline,
    judge: &Judge,
    data: &Data,
    settings: &Settings,
    watch: Watch<'_>,
) -> Result<Report> {
    settings.validate(pipeline)?;
    let classes = draws::model_classes(data, pipeline)?;
    let requests = settings.requests();
    let chosen = choose(&data.train.labels, &allocate(settings.fit, &data.weights(settings.mix)));
    let looks = settings.samples * requests.len() + if judge.knows(&data.train, &chosen) { 0 } else { chosen.len() };
    let calls: usize = requests.iter().map(|request| settings.samples * (1 + draws::calls(request))).sum();
    let seconds = judge.seconds_per_picture(data.train.size)? * looks as f64
        + draws::seconds_per_call(pipeline, judge.device())? * calls as f64;
    watch(Told::Estimate(seconds));

    let features = judge.features_of(&data.train, &chosen, watch)?;
    let training = Seen { features, labels: chosen.iter().map(|at| data.train.labels[*at]).collect() };
    let reference = Reference::new(training, None, data.classes(), &data.groups(), judge.device());
    let labels = labels(data, settings.mix, settings.samples);
    let asked: Vec<usize> = labels.iter().map(|label| classes[*label]).collect();
    let mut cells: Vec<Cell> = Vec::with_capacity(requests.len());
    for request in &requests {
        let drawn = draws::draw(pipeline, &asked, request, judge.device(), watch)?;
        let features = judge.features(drawn.len(), |at| drawn[at].clone(), watch)?;
        let seen = Seen { features, labels: labels.clone() };
        let (accuracy, _) = reference.accuracy(&seen);
        let cell = Cell {
            guidance: request.guidance,
            interval: request.interval,
            frechet: reference.frechet(&seen),
            accuracy: accuracy.overall,
            accuracy_mean_of_classes: accuracy.mean_of_classes,
        };
        cells.push(cell.clone());
        watch(Told::Tried { done: cells.len(), of: requests.len(), cell });
    }
    let best = cells.iter().min_by(|a, b| a.frechet.total_cmp(&b.frechet)).expect("no guidance is one").clone();
    Ok(Report {
        samples: settings.samples,
        seed: settings.sampling.seed,
        steps: settings.sampling.steps,
        sampler: settings.sampling.sampler,
        mix: settings.mix,
        reference: reference.pictures(),
        feature_side: judge.side(),
        cells,
        best,
    })
}
