//! What may be asked of the generator, and the limits of each wish.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Manifest;
use crate::mix::Way;
use crate::sampler::{Guidance, SamplerKind};
use crate::{Error, Result};

/// Latest time at which a run may begin that is not all noise: the SDE stops adding noise at 0.04.
pub const EARLIEST_START: f64 = 0.05;

/// What to sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampleRequest {
    /// Index into the manifest's classes.
    pub class: usize,
    /// Another class, towards which the embedding of `class` is moved.
    pub toward: Option<Toward>,
    /// The same seed gives the same picture on every platform, within 2/255.
    pub seed: u64,
    /// Another seed, whose noise is mixed with that of `seed`.
    pub blend: Option<Blend>,
    /// Number of steps, 1 to 1000.
    pub steps: usize,
    /// Guidance scale, 1 (none) to 20.
    pub guidance: f64,
    /// Times at which guidance applies, `0 <= low <= high <= 1`.
    pub interval: (f64, f64),
    /// Integrator.
    pub sampler: SamplerKind,
    /// Time at which the run begins: 1 is noise alone. Earlier ones, down to [`EARLIEST_START`], begin with a picture
    /// that was given so much noise: see [`Pipeline::start_from`](super::Pipeline::start_from).
    pub start: f64,
}

/// Where the embedding of a class is moved to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toward {
    /// Index into the manifest's classes.
    pub class: usize,
    /// How far, from 0 (not at all) to 1 (there).
    pub share: f64,
}

/// With which noise that of a request is mixed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// The other noise's seed.
    pub seed: u64,
    /// Share of the other noise, from 0 to 1.
    pub share: f64,
    /// How the two are mixed.
    #[serde(default)]
    pub way: Way,
}

impl Default for SampleRequest {
    fn default() -> Self {
        Self {
            class: 0,
            toward: None,
            seed: 0,
            blend: None,
            steps: 25,
            guidance: 2.0,
            interval: (0.0, 1.0),
            sampler: SamplerKind::Euler,
            start: 1.0,
        }
    }
}

impl SampleRequest {
    pub(super) fn guidance(&self) -> Guidance {
        let (low, high) = self.interval;
        Guidance { scale: self.guidance, low, high }
    }

    /// Checks every field against its range and the model's classes.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::UnknownClass`] for the first that is out of range.
    pub fn validate(&self, manifest: &Manifest) -> Result<()> {
        for class in [Some(self.class), self.toward.map(|toward| toward.class)].into_iter().flatten() {
            if class >= manifest.classes.len() {
                manifest.class_index(&class.to_string())?;
            }
        }
        let shares = [self.toward.map(|toward| toward.share), self.blend.map(|blend| blend.share)];
        for share in shares.into_iter().flatten() {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::setting("share", share, "a number from 0 to 1"));
            }
        }
        if !(1..=1000).contains(&self.steps) {
            return Err(Error::setting("steps", self.steps, "a number from 1 to 1000"));
        }
        if !(1.0..=20.0).contains(&self.guidance) {
            return Err(Error::setting("guidance", self.guidance, "a number from 1 (off) to 20"));
        }
        let (low, high) = self.interval;
        if !(0.0 <= low && low <= high && high <= 1.0) {
            return Err(Error::setting("interval", format!("{low},{high}"), "two times with 0 <= low <= high <= 1"));
        }
        if !(EARLIEST_START..=1.0).contains(&self.start) {
            return Err(Error::setting("start", self.start, format!("a time from {EARLIEST_START} to 1")));
        }
        Ok(())
    }

    /// Whether the two can be run in one batch: they differ in class, noise and what these are mixed with alone.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        let Self { class, toward, seed, blend, .. } = *self;
        *self == Self { class, toward, seed, blend, ..other.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::ClassEntry;

    fn manifest() -> Manifest {
        let class =
            |name: &str| ClassEntry { name: name.into(), label: name.into(), group: String::new(), thumbnail: None };
        Manifest { classes: vec![class("a"), class("b")], ..Manifest::draft("test", 64) }
    }

    #[test]
    fn every_field_has_its_limits() {
        let wrong = |change: fn(&mut SampleRequest)| {
            let mut request = SampleRequest::default();
            change(&mut request);
            request.validate(&manifest()).unwrap_err().code()
        };
        assert!(SampleRequest::default().validate(&manifest()).is_ok());
        assert_eq!(wrong(|r| r.class = 2), "setting");
        assert_eq!(wrong(|r| r.toward = Some(Toward { class: 2, share: 0.5 })), "setting");
        assert_eq!(wrong(|r| r.toward = Some(Toward { class: 1, share: f64::NAN })), "setting");
        assert_eq!(wrong(|r| r.blend = Some(Blend { seed: 1, share: 1.5, way: Way::Linear })), "setting");
        assert_eq!(wrong(|r| r.steps = 0), "setting");
        assert_eq!(wrong(|r| r.guidance = f64::INFINITY), "setting");
        assert_eq!(wrong(|r| r.interval = (0.6, 0.4)), "setting");
        assert_eq!(wrong(|r| r.start = 0.01), "setting");
    }

    #[test]
    fn a_batch_may_differ_in_class_and_noise_only() {
        let one = SampleRequest::default();
        let blend = Some(Blend { seed: 9, share: 0.5, way: Way::Spherical });
        assert!(one.goes_with(&SampleRequest { class: 1, seed: 4, blend, ..one.clone() }));
        assert!(!one.goes_with(&SampleRequest { steps: 3, ..one.clone() }));
        assert!(!one.goes_with(&SampleRequest { start: 0.5, ..one.clone() }));
    }
}
