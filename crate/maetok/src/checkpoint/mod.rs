//! Weights and model folders: official key names in, official key names out.
//!
//! A model folder holds
//! ```text
//! manifest.json            files with size and SHA-256, classes, latent statistics   (Manifest)
//! README.md                the model card
//! tokenizer/config.json    as in an official hub repository, flat fields
//! tokenizer/model.safetensors
//! sit/config.json
//! sit/model.safetensors
//! thumbnails/<class>.webp
//! ```
//! Reading is strict: wrong bytes, missing, mis-shaped or non-finite tensors are errors that name them all.

mod files;
#[cfg(not(target_family = "wasm"))]
mod folder;
mod keys;
mod load;
mod manifest;
#[cfg(test)]
mod packed_tests;
mod save;
#[cfg(test)]
mod tests;

pub use files::{ModelFiles, sha256_hex};
#[cfg(not(target_family = "wasm"))]
pub use folder::{Folder, Part, add_files, write_atomically, write_folder};
pub use keys::{file_key, is_variant, stripped};
pub use load::{LoadReport, Misshaped, Weights, blank, load, load_as, shapes, tensor_names};
pub use manifest::{ClassEntry, FORMAT, FileEntry, Manifest, ModelEntry};
pub use save::{Storage, save};
