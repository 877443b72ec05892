//! What the features of a set of pictures say beside those of training pictures.

use burn::tensor::Device;
use serde::Serialize;

use super::mix;
use crate::eval::manifold::NEIGHBOURS;
use crate::eval::neighbours::{nearest, vote};
use crate::eval::{FrechetReference, Moments, precision_recall};

/// Neighbours that say which class a picture shows.
pub const VOTERS: usize = 5;

/// Pictures as features, with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `[n, width]`, row-major.
    pub features: Vec<f32>,
    /// One a row.
    pub labels: Vec<usize>,
}

impl Seen {
    fn width(&self) -> usize {
        self.features.len() / self.labels.len()
    }

    /// Some of the rows.
    pub fn rows(&self, chosen: &[usize]) -> Self {
        let width = self.width();
        let row = |at: &usize| &self.features[at * width..(at + 1) * width];
        Self {
            features: chosen.iter().flat_map(row).copied().collect(),
            labels: chosen.iter().map(|at| self.labels[*at]).collect(),
        }
    }
}

/// A share of the pictures of a class or group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Of the class or group.
    pub name: String,
    /// Pictures there.
    pub pictures: usize,
    /// From 0 to 1.
    pub share: f64,
}

/// How many pictures show their class, by the majority of their five nearest training pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Share of all pictures.
    pub overall: f64,
    /// Mean over the classes, each counted alike.
    pub mean_of_classes: f64,
    /// "all" and every group that has pictures.
    pub groups: Vec<Share>,
    /// Every class that has pictures.
    pub classes: Vec<Share>,
}

/// What is said of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Pictures of the set.
    pub pictures: usize,
    /// Fréchet distance to the reference; none for the reference itself.
    pub frechet: Option<f64>,
    /// Share of the pictures that lie among training pictures: as many of these, with the set's classes.
    pub precision: f64,
    /// Share of those training pictures that lie among the set's.
    pub recall: f64,
    /// See [`Accuracy`].
    pub accuracy: Accuracy,
}

/// Training pictures that sets are judged by.
pub struct Reference {
    training: Seen,
    frechet: FrechetReference,
    classes: Vec<String>,
    groups: Vec<(String, Vec<bool>)>,
    device: Device,
}

impl Reference {
    /// By these training pictures; the Fréchet distance is to `against`, where given, otherwise to them.
    ///
    /// `groups` name some of the `classes` each.
    ///
    /// # Panics
    /// If there are fewer training pictures than [`VOTERS`].
    pub fn new(
        training: Seen,
        against: Option<&Seen>,
        classes: &[String],
        groups: &[(String, Vec<bool>)],
        device: &Device,
    ) -> Self {
        let of = against.unwrap_or(&training);
        let frechet = FrechetReference::new(Moments::of(&of.features, of.width()));
        Self { training, frechet, classes: classes.to_vec(), groups: groups.to_vec(), device: device.clone() }
    }

    /// Number of training pictures.
    pub fn pictures(&self) -> usize {
        self.training.labels.len()
    }

    /// The Fréchet distance alone.
    pub fn frechet(&self, set: &Seen) -> f64 {
        self.frechet.distance(&Moments::of(&set.features, set.width()))
    }

    /// Everything about a set, and the distance of every picture's features to the nearest training picture's.
    ///
    /// # Panics
    /// If there are fewer pictures than the neighbours of precision and recall.
    pub fn judge(&self, set: &Seen) -> (Verdict, Vec<f64>) {
        let width = self.training.width();
        let (accuracy, distances) = self.accuracy(set);
        let wanted = mix::counts(&set.labels, self.classes.len());
        let real = self.training.rows(&mix::choose(&self.training.labels, &wanted));
        let shares = precision_recall(&real.features, &set.features, width, NEIGHBOURS, &self.device);
        let verdict = Verdict {
            pictures: set.labels.len(),
            frechet: Some(self.frechet(set)),
            precision: shares.precision,
            recall: shares.recall,
            accuracy,
        };
        (verdict, distances)
    }

    /// The accuracy, and the distance of every picture's features to the nearest training picture's.
    pub fn accuracy(&self, set: &Seen) -> (Accuracy, Vec<f64>) {
        let found = nearest(&set.features, &self.training.features, self.training.width(), VOTERS, &self.device);
        let right: Vec<bool> =
            found.iter().zip(&set.labels).map(|(near, label)| vote(near, &self.training.labels) == *label).collect();
        let share = |name: &str, member: &dyn Fn(usize) -> bool| {
            let (mut pictures, mut hits) = (0, 0);
            for (label, right) in set.labels.iter().zip(&right).filter(|(label, _)| member(**label)) {
                debug_assert!(*label < self.classes.len());
                pictures += 1;
                hits += usize::from(*right);
            }
            (pictures > 0).then(|| Share { name: name.to_owned(), pictures, share: hits as f64 / pictures as f64 })
        };
        let classes: Vec<Share> =
            self.classes.iter().enumerate().filter_map(|(at, name)| share(name, &|label| label == at)).collect();
        let accuracy = Accuracy {
            overall: share("", &|_| true).map_or(0.0, |all| all.share),
            mean_of_classes: classes.iter().map(|class| class.share).sum::<f64>() / classes.len().max(1) as f64,
            groups: self.groups.iter().filter_map(|(name, of)| share(name, &|label| of[label])).collect(),
            classes,
        };
        (accuracy, found.iter().map(|near| near[0].distance).collect())
    }
}
