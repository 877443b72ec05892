//! Whether samples are copies of training pictures.
//!
//! For every picture the nearest training picture is found, by features and by pixels. A sample is *nearer* than is
//! natural where its distance is at most the [`QUANTILE`] of the distances of held-out pictures that went through the
//! same tokenizer: what a decoder softens is nearer by pixels and farther by features, and must be compared with its
//! like. Of samples as new as held-out pictures about 1 in 100 are nearer by either distance.
//!
//! **The test:** a set holds copies if the share of its pictures that are nearer, by features or by pixels, is above 0.01
//! by more than three standard errors, `0.01 + 3 sqrt(0.01 · 0.99 (1/n + 1/m))` for `n` samples and `m` held-out
//! pictures. A generator that blurs more than its tokenizer does may be flagged by pixels without copying anything. What
//! the test is worth is told by training pictures that went through the tokenizer: the share of them that is nearer is the
//! share of copies that it notices.

use serde::Serialize;

use crate::eval::neighbours::quantile;

/// Held-out pictures nearer than this quantile of their distances are unusually near.
pub const QUANTILE: f64 = 0.01;
/// Standard errors above [`QUANTILE`] at which a share is no chance.
const ERRORS: f64 = 3.0;
/// A group needs so many held-out pictures for a hundredth of them to mean anything.
const FEWEST_OF_GROUP: usize = 100;

/// Distances of the pictures of a set to their nearest training pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distances {
    /// Between features.
    pub features: Vec<f64>,
    /// Root of the mean squared difference of pixels, in steps of 255.
    pub pixels: Vec<f64>,
    /// Class of every picture.
    pub labels: Vec<usize>,
}

impl Distances {
    fn of_classes(&self, member: &[bool]) -> Self {
        let pick = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(&self.labels).filter(|(_, label)| member[**label]).map(|(value, _)| *value).collect()
        };
        let labels = self.labels.iter().copied().filter(|label| member[*label]).collect();
        Self { features: pick(&self.features), pixels: pick(&self.pixels), labels }
    }
}

/// A hundredth and the half of some distances are at most these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The [`QUANTILE`].
    pub lowest: f64,
    /// The median.
    pub median: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        Self { lowest: quantile(values, QUANTILE), median: quantile(values, 0.5) }
    }
}

/// How near the pictures of a group are to training pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearness {
    /// "all" or a group of classes.
    pub group: String,
    /// Pictures of the set in the group.
    pub pictures: usize,
    /// Distances between features.
    pub features: Spread,
    /// Distances between pixels, in steps of 255.
    pub pixels: Spread,
    /// Share of the pictures that are nearer by features.
    pub nearer_by_features: f64,
    /// Share of the pictures that are nearer by pixels.
    pub nearer_by_pixels: f64,
    /// The most that such a share may be by chance.
    pub allowed: f64,
    /// Whether one of them is more.
    pub copies: bool,
}

/// Compares a set with held-out pictures, over all classes and by those groups of which there are enough.
///
/// # Panics
/// If there are no held-out pictures, or a class has no number in a group's list.
pub fn compare(set: &Distances, held_out: &Distances, groups: &[(String, Vec<bool>)]) -> Vec<Nearness> {
    let of_group = |(name, member): &(String, Vec<bool>)| {
        let (set, other) = (set.of_classes(member), held_out.of_classes(member));
        let whole = other.labels.len() == held_out.labels.len();
        let enough = whole || other.labels.len() >= FEWEST_OF_GROUP;
        (enough && !set.labels.is_empty()).then(|| nearness(name, &set, &other))
    };
    groups.iter().filter_map(of_group).collect()
}

fn nearness(group: &str, set: &Distances, held_out: &Distances) -> Nearness {
    let (by_features, by_pixels) = (Spread::of(&held_out.features).lowest, Spread::of(&held_out.pixels).lowest);
    let pictures = set.labels.len();
    let share = |distances: &[f64], limit: f64| {
        distances.iter().filter(|distance| **distance <= limit).count() as f64 / pictures as f64
    };
    let rows = 1.0 / pictures as f64 + 1.0 / held_out.labels.len() as f64;
    let allowed = QUANTILE + ERRORS * (QUANTILE * (1.0 - QUANTILE) * rows).sqrt();
    let (nearer_by_features, nearer_by_pixels) = (share(&set.features, by_features), share(&set.pixels, by_pixels));
    Nearness {
        group: group.to_owned(),
        pictures,
        features: Spread::of(&set.features),
        pixels: Spread::of(&set.pixels),
        nearer_by_features,
        nearer_by_pixels,
        allowed,
        copies: nearer_by_features.max(nearer_by_pixels) > allowed,
    }
}
