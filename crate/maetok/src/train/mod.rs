//! Training: data, losses, optimiser, averaged weights, and the two trainers. Native only, feature `train`.
//!
//! [`TokenizerTrainer`] makes a tokenizer from a folder of pictures, [`DiffusionTrainer`] a generator on that
//! tokenizer's latents, [`pack`](pack::pack) a model folder of both. All three leave files any other tool reads: PNG,
//! JSON lines, safetensors under the official key names.

pub mod adversarial;
mod board;
mod checks;
mod clock;
pub mod data;
pub mod devices;
mod diffusion;
pub mod drive;
pub mod ema;
pub mod evaluation;
pub mod hog;
pub mod latents;
pub mod log;
pub mod losses;
pub mod muon;
pub mod objective;
pub mod optimiser;
pub mod pack;
mod parallel;
mod prefetch;
mod progress;
pub mod provenance;
pub mod run_folder;
mod saving;
pub mod schedule;
pub mod stop;
mod story;
pub mod teacher;
mod tokenizer;

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_devices;

pub use devices::Devices;
pub use diffusion::{DiffusionTrainer, DiffusionTraining};
pub use drive::{Pace, State, Summary};
pub use tokenizer::{
    AdversarialKind, AdversarialTraining, PerceptualKind, PerceptualTraining, Start, TeacherTraining, TokenizerTrainer,
    TokenizerTraining,
};
