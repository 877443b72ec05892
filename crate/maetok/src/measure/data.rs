//! The pictures that a model is measured on.

use std::path::Path;

use super::mix::{self, Mix};
use super::{FEWEST, reconstruction};
use crate::train::data::{Pictures, Split};
use crate::{Error, Result};

/// Training and held-out pictures of a data folder, in memory.
pub struct Data {
    split: Split,
    /// What the model learnt from.
    pub train: Pictures,
    /// What it never saw, with the classes of `train`.
    pub held_out: Pictures,
}

impl Data {
    /// Reads `dir/train` and `dir/held-out` at `size` by `size` pixels.
    ///
    /// # Errors
    /// [`Error::Training`] if there are no held-out pictures or fewer than [`FEWEST`] of either; what reading gives.
    pub fn read(dir: &Path, size: usize) -> Result<Self> {
        let split = Split::find(dir)?;
        let held_out = split.held_out.as_ref().ok_or_else(|| {
            Error::training(format!("{} has no folder held-out beside train to measure on", dir.display()))
        })?;
        let train = Pictures::read(&split.train, size, None)?;
        let held_out = Pictures::read(held_out, size, Some(&train.classes))?;
        for (what, set) in [("training", &train), ("held-out", &held_out)] {
            if set.len() < FEWEST {
                let problem = format!("{} has {} {what} pictures, too few to measure on", dir.display(), set.len());
                return Err(Error::training(problem));
            }
        }
        Ok(Self { split, train, held_out })
    }

    /// Names of the classes: the folders of the training pictures.
    pub fn classes(&self) -> &[String] {
        &self.train.classes
    }

    /// Group of a class, empty if none is known.
    pub fn group(&self, class: usize) -> &str {
        self.split.group(&self.train.classes[class])
    }

    /// "all" and every group, each with whether a class belongs to it.
    pub fn groups(&self) -> Vec<(String, Vec<bool>)> {
        let classes = 0..self.classes().len();
        let mut names: Vec<&str> = classes.clone().map(|class| self.group(class)).filter(|g| !g.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        let all = (reconstruction::ALL.to_owned(), vec![true; classes.len()]);
        let of = |name: &str| (name.to_owned(), classes.clone().map(|class| self.group(class) == name).collect());
        std::iter::once(all).chain(names.into_iter().map(of)).collect()
    }

    /// Weights of the classes in a mix.
    pub fn weights(&self, mix: Mix) -> Vec<usize> {
        let classes = self.classes().len();
        match mix {
            Mix::HeldOut => mix::counts(&self.held_out.labels, classes),
            Mix::Balanced => mix::counts(&self.train.labels, classes).iter().map(|n| usize::from(*n > 0)).collect(),
            Mix::Training => mix::counts(&self.train.labels, classes),
        }
    }

    /// One sentence per file that was left out.
    pub fn notices(&self) -> Vec<String> {
        self.train.notices().into_iter().chain(self.held_out.notices()).collect()
    }
}
