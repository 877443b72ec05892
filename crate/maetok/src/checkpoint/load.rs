//! Safetensors bytes into a Burn module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param, Reparameterizer};
use burn::tensor::{Device, Tensor, TensorData};
use maetok_shaders::linear::{Int8, pack_int8, unpack_int8};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use serde::Deserialize;

use super::keys::{Path, Stored, is_derived, stripped};
use crate::kernels::{Packed, Packing, reads_packed, reads_panels};
use crate::{Error, Result};

/// How the matrices of linear layers are kept. Every other tensor becomes f32, and so do matrices with a side that is
/// no multiple of 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// f16 and int8 stay what they are where kernels read them, see [`reads_packed`]; elsewhere they become f32 of the
    /// same values, on the CPU in panels.
    #[default]
    AsShipped,
    /// All as f32, in rows: also for training.
    F32,
    /// All rounded to int8, with a scale for each row of the file and each 64 numbers in it; packed where kernels read
    /// them, f32 of the rounded values elsewhere.
    Int8,
}

/// Numbers under one scale where matrices are rounded to int8: 64, or a whole row where that is no multiple of 64.
pub(super) fn int8_group(row: usize) -> usize {
    if row.is_multiple_of(64) { 64 } else { row }
}

/// The key of the scales `[N, K / group]` that stand in a file beside an int8 matrix `[N, K]` of this key.
pub(super) fn scale_key(key: &str) -> String {
    format!("{key}_scale")
}

/// What became of every tensor of a model and of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of the model that were filled.
    pub loaded: usize,
    /// In the model, not in the file.
    pub missing: Vec<String>,
    /// In the file, not in the model. Not an error: official files carry teachers and auxiliary decoders.
    pub unused: Vec<String>,
    /// In both, with different shapes.
    pub misshaped: Vec<Misshaped>,
    /// With a NaN or an infinity.
    pub nonfinite: Vec<String>,
    /// Stored as something that is not f32, f16 or bf16, nor int8 for a matrix of a linear layer.
    pub mistyped: Vec<String>,
}

/// A tensor whose shape in the file is not the model's, both as the file would have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshaped {
    /// Official key.
    pub name: String,
    /// The model's shape.
    pub want: Vec<usize>,
    /// The file's shape.
    pub got: Vec<usize>,
}

impl LoadReport {
    /// What is wrong with the tensors of [`mistyped`](Self::mistyped).
    pub const MISTYPED: &str = "not stored as f32, f16, bf16, or int8 with scales";

    /// Whether the model is complete.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.misshaped.is_empty() && self.nonfinite.is_empty() && self.mistyped.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<String> = self
            .misshaped
            .iter()
            .map(|m| format!("{} (the model has {:?}, the file {:?})", m.name, m.want, m.got))
            .collect();
        if self.is_complete() {
            return write!(f, "{} tensors loaded, {} unused", self.loaded, self.unused.len());
        }
        // Unused tensors tell of a renamed one, so they belong to the report of what is missing.
        let parts: Vec<String> = [
            ("missing", &self.missing),
            ("mis-shaped", &shapes),
            ("non-finite", &self.nonfinite),
            (Self::MISTYPED, &self.mistyped),
            ("not used", &self.unused),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{} {what}: {}", names.len(), names.join(", ")))
        .collect();
        write!(f, "{}", parts.join("; "))
    }
}

/// Fills every float parameter of `module` from the safetensors files in `shards`, as f32; ids, devices and gradient
/// flags stay.
///
/// Keys may have `module.` and `_orig_mod.` segments; values may be f32, f16 or bf16, those of a linear layer's matrix
/// `key` also int8 with f32 scales in `key_scale`.
///
/// # Errors
/// [`Error::Weights`] if a file is damaged; [`Error::WeightsMismatch`] with the whole report if a tensor is missing,
/// mis-shaped, non-finite or of another type.
pub fn load<M: Module>(module: M, shards: &[&[u8]]) -> Result<(M, LoadReport)> {
    load_as(module, shards, Weights::F32)
}

/// [`load`] with matrices kept as `weights` says. Only what is kept goes to the device.
///
/// # Errors
/// As [`load`].
pub fn load_as<M: Module>(module: M, shards: &[&[u8]], weights: Weights) -> Result<(M, LoadReport)> {
    let tensors = parse(shards)?;
    let (module, used, mut report) = filled(module, &tensors, weights, false);
    report.unused = tensors
        .into_iter()
        .filter(|(key, _)| !used.contains(key) && !is_derived(key))
        .map(|(_, found)| found.name)
        .collect();
    if report.is_complete() { Ok((module, report)) } else { Err(Error::WeightsMismatch { report: Box::new(report) }) }
}

/// The module with zeros in place of weights, kept as those of a file of f16 would be.
pub fn blank<M: Module>(module: M) -> M {
    filled(module, &BTreeMap::new(), Weights::AsShipped, true).0
}

/// The module with what there is in `tensors`, the keys that were used, and the report.
fn filled<M: Module>(
    module: M,
    tensors: &BTreeMap<String, Found<'_>>,
    weights: Weights,
    blank: bool,
) -> (M, BTreeSet<String>, LoadReport) {
    let (mut used, mut report) = (BTreeSet::new(), LoadReport::default());
    let mut places = Places::default();
    module.visit(&mut places);
    let places = places.found.into_iter();
    let (used_keys, lines) = (&mut used, &mut report);
    let module = module.apply_reparameterization(Loader {
        blank,
        places,
        weights,
        kept: None,
        tensors,
        used: used_keys,
        report: lines,
    });
    (module, used, report)
}

/// Official key and file shape of every float parameter of `module`, in the order of its fields.
pub fn shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut places = Places::default();
    module.visit(&mut places);
    places.found.into_iter().map(|place| (place.stored.key, place.shape)).collect()
}

/// Where a float parameter is in a file.
struct Place {
    stored: Stored,
    /// As the file has it.
    shape: Vec<usize>,
}

/// The places of a module, in the order of its fields.
#[derive(Default)]
struct Places {
    path: Path,
    found: Vec<Place>,
}

impl ModuleVisitor for Places {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let stored = self.path.stored();
        // The lazy shape: a fresh parameter need not be drawn only to be overwritten.
        let mut shape = param.lazy_shape().to_vec();
        if stored.transposed {
            shape.reverse();
        }
        self.found.push(Place { stored, shape });
    }
}

/// Name, storage type and shape of every tensor of a safetensors file, sorted by name.
///
/// # Errors
/// [`Error::Weights`] if the file is damaged.
pub fn tensor_names(bytes: &[u8]) -> Result<Vec<(String, String, Vec<usize>)>> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(bytes, &e))?;
    let mut names: Vec<_> =
        file.iter().map(|(name, view)| (name.to_owned(), view.dtype().to_string(), view.shape().to_vec())).collect();
    names.sort();
    Ok(names)
}

/// A tensor of a file and the name it has there.
struct Found<'a> {
    name: String,
    view: TensorView<'a>,
}

/// All tensors of all shards by stripped key.
fn parse<'a>(shards: &[&'a [u8]]) -> Result<BTreeMap<String, Found<'a>>> {
    let mut tensors = BTreeMap::new();
    for bytes in shards {
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(bytes, &e))?;
        for (name, view) in file.iter() {
            let found = Found { name: name.to_owned(), view };
            if let Some(before) = tensors.insert(stripped(name), found) {
                return Err(Error::weights(format!(
                    "The weights hold the tensor {} twice, as {} and as {name}",
                    stripped(name),
                    before.name
                )));
            }
        }
    }
    Ok(tensors)
}

/// One sentence about a file that the format's reader refuses.
fn damaged(bytes: &[u8], error: &SafeTensorError) -> Error {
    let size = bytes.len();
    let header = bytes.first_chunk::<8>().map(|n| u64::from_le_bytes(*n));
    Error::weights(match (error, header) {
        (SafeTensorError::HeaderTooSmall, _) | (_, None) => {
            format!("The weights file is not a safetensors file: it has only {size} bytes")
        }
        (SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength, Some(n)) => format!(
            "The weights file is damaged or not a safetensors file: its header claims {n} bytes, the whole file has {size}"
        ),
        (SafeTensorError::MetadataIncompleteBuffer, _) => {
            format!("The weights file is cut short or damaged: its {size} bytes are not what its header describes")
        }
        _ => "The weights file is damaged: its header cannot be read as a safetensors header".to_owned(),
    })
}

struct Loader<'a> {
    /// What is not there is zeros.
    blank: bool,
    /// Of the parameters that are still to come: mappers come by in the same order as visitors.
    places: std::vec::IntoIter<Place>,
    weights: Weights,
    /// How matrices are kept where the module is; asked once.
    kept: Option<Kept>,
    tensors: &'a BTreeMap<String, Found<'a>>,
    used: &'a mut BTreeSet<String>,
    report: &'a mut LoadReport,
}

/// How matrices are kept.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Rows,
    Words,
    Panels,
}

/// What a parameter is filled with.
enum Content {
    /// In the module's order.
    Floats(Vec<f32>),
    Packed(Arc<Packed>),
}

impl Reparameterizer for Loader<'_> {
    type Reparam = Packing;

    fn reparameterize<const D: usize>(
        &mut self,
        _: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Packing>) {
        let Some(place) = self.places.next() else { unreachable!("a mapper found more than a visitor") };
        let device = param.lazy_device();
        match self.content(&place, &device) {
            Some(Content::Floats(values)) => {
                self.report.loaded += 1;
                let id = param.id;
                let tensor = Tensor::from_data(TensorData::new(values, param.lazy_shape()), &device);
                (param.transform_for_load(tensor, id), None)
            }
            Some(Content::Packed(packed)) if D == 2 => {
                self.report.loaded += 1;
                let source = packed.clone();
                // The weight itself, for whoever asks for more than the kernels do.
                let unpacked =
                    move |fresh: Tensor<D>| source.unpacked().to_device(&fresh.device()).reshape::<D, _>(fresh.shape());
                (param.init_mapper(unpacked), Some(Packing::new(packed)))
            }
            _ => (param, None),
        }
    }
}

impl Loader<'_> {
    /// What the files have for `place`; `None`, and a line in the report, if that is nothing of use.
    fn content(&mut self, Place { stored, shape }: &Place, device: &Device) -> Option<Content> {
        let key = &stored.key;
        let zeros = vec![0; if self.blank { 2 * shape.iter().product::<usize>() } else { 0 }];
        let blank = TensorView::new(Dtype::F16, shape.clone(), &zeros).ok().filter(|_| self.blank);
        let Some(view) = self.tensors.get(key).map(|found| &found.view).or(blank.as_ref()) else {
            self.report.missing.push(key.clone());
            return None;
        };
        self.used.insert(key.clone());
        if view.shape() != shape {
            let (name, want) = (key.clone(), shape.clone());
            self.report.misshaped.push(Misshaped { name, want, got: view.shape().to_vec() });
            return None;
        }
        let [n, k] = match *shape.as_slice() {
            [n, k] if stored.transposed && n > 0 => [n, k],
            _ => return Some(Content::Floats(self.floats(key, view)?)),
        };
        let kept = match (self.weights, self.kept) {
            (Weights::F32, _) => Kept::Rows,
            (_, Some(kept)) => kept,
            _ if reads_packed(device) => Kept::Words,
            _ if reads_panels(device) => Kept::Panels,
            _ => Kept::Rows,
        };
        self.kept = Some(kept);
        let floats = |values: Vec<f32>| match kept {
            Kept::Panels => Content::Packed(Packed::panels(&values, n).into()),
            _ => Content::Floats(values),
        };
        let int8 = |int8: Int8, group| match kept {
            Kept::Words => Content::Packed(Packed::int8(int8, n, group, device).into()),
            _ => floats(unpack_int8(&int8, n, group)),
        };
        let fours = n.is_multiple_of(4) && k.is_multiple_of(4) && k > 0;
        match view.dtype() {
            Dtype::I8 if fours => {
                let (scales, group) = self.scales(key, n, k)?;
                // Four numbers of a row in the file are a word, four rows of a column in the module.
                Some(int8(Int8 { words: transposed(&words(view.data()), n, k / 4), scales }, group))
            }
            Dtype::F16 if fours && kept == Kept::Words && self.weights == Weights::AsShipped => {
                let words = words(view.data());
                if !words.iter().all(|word| is_finite(*word as u16) && is_finite((word >> 16) as u16)) {
                    self.report.nonfinite.push(key.clone());
                    return None;
                }
                Some(Content::Packed(Packed::f16(transposed(&words, n, k / 2), n, device).into()))
            }
            _ => {
                let values = transposed(&self.floats(key, view)?, n, k);
                Some(match self.weights {
                    Weights::Int8 if fours => {
                        let group = int8_group(k);
                        int8(pack_int8(&values, k, n, group).expect("finite weights, sides of fours"), group)
                    }
                    _ => floats(values),
                })
            }
        }
    }

    /// The values of a tensor of floats, in the file's order.
    fn floats(&mut self, key: &str, view: &TensorView<'_>) -> Option<Vec<f32>> {
        let Some(values) = floats(view) else {
            self.report.mistyped.push(key.to_owned());
            return None;
        };
        if !values.iter().all(|v| v.is_finite()) {
            self.report.nonfinite.push(key.to_owned());
            return None;
        }
        Some(values)
    }

    /// The scales of an int8 matrix `[N, K]`, as `[K / group, N]`, and `group`.
    fn scales(&mut self, key: &str, n: usize, k: usize) -> Option<(Vec<f32>, usize)> {
        let key = scale_key(key);
        let Some(Found { view, .. }) = self.tensors.get(&key) else {
            self.report.missing.push(key);
            return None;
        };
        self.used.insert(key.clone());
        let groups = match view.shape() {
            [rows, groups] if *rows == n && *groups > 0 && k.is_multiple_of(4 * groups) => *groups,
            got => {
                let want = vec![n, k / int8_group(k)];
                self.report.misshaped.push(Misshaped { name: key, want, got: got.to_vec() });
                return None;
            }
        };
        let scales = self.floats(&key, view)?;
        Some((transposed(&scales, n, groups), k / groups))
    }
}

/// Whether bits of an f16 are a number.
fn is_finite(half: u16) -> bool {
    half & 0x7c00 != 0x7c00
}

/// Bytes four by four, the first lowest.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The values as f32; `None` if they are stored as something else than f32, f16 or bf16.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    let pair = |b: &[u8]| [b[0], b[1]];
    Some(match view.dtype() {
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes(pair(b)).to_f32()).collect(),
        Dtype::BF16 => bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes(pair(b)).to_f32()).collect(),
        _ => return None,
    })
}

/// `[rows, columns]` row-major to `[columns, rows]`, in square tiles so that both sides stay in cache.
pub(super) fn transposed<T: Copy + Default>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    const TILE: usize = 32;
    let mut out = vec![T::default(); values.len()];
    for row0 in (0..rows).step_by(TILE) {
        for column0 in (0..columns).step_by(TILE) {
            for row in row0..(row0 + TILE).min(rows) {
                for column in column0..(column0 + TILE).min(columns) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}
