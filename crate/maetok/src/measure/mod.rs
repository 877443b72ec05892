//! How good a model is on a folder of pictures: what the measures of [`eval`](crate::eval) say of its reconstructions
//! and of its samples, with the pictures' features from the network of [`features`](crate::features). Feature `train`.
//!
//! Every figure comes beside what it means little without: reconstructions beside the mean picture and PCA
//! ([`reconstruction`]), samples beside held-out pictures, before and after they went through the tokenizer
//! ([`samples`]). [`sweep`] looks for the guidance that suits a generator. [`atlas`] measures nothing: it writes
//! down the latents of some pictures for the page to draw a map of. [`storage`] needs no folder: it puts weights in
//! fewer bits beside those in f32.
//!
//! Features are those of EfficientNet-Lite0, so a Fréchet distance of this module is no published FID, which has
//! Inception's: it is to be compared with others of the same network, side, reference and number of pictures.

pub mod atlas;
mod cache;
mod data;
mod draws;
mod judge;
mod lanes;
pub mod mix;
pub mod novelty;
mod pixels;
pub mod reconstruction;
pub mod samples;
pub mod storage;
pub mod sweep;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use data::Data;
pub use judge::Judge;
pub use mix::Mix;

/// What is told while something goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// About how many seconds all of it takes, before it begins.
    Estimate(f64),
    /// How much of a part is done.
    Progress {
        /// The part, as in "pictures looked at".
        what: &'static str,
        /// How much is done.
        done: usize,
        /// Of how much.
        of: usize,
    },
    /// What a sweep found at one of its settings.
    Tried {
        /// Settings tried, with this one.
        done: usize,
        /// Of how many.
        of: usize,
        /// See [`sweep::Cell`].
        cell: sweep::Cell,
    },
}

/// Who is told.
pub type Watch<'a> = &'a (dyn Fn(Told) + Sync);

/// Fewest pictures or samples that anything is measured on: precision and recall need three neighbours, a class five.
pub const FEWEST: usize = 10;
