//! Safetensors bytes into a Burn module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::keys::{Path, is_derived, stripped};
use crate::{Error, Result};

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
    /// Stored as something that is not f32, f16 or bf16.
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
            ("not stored as f32, f16 or bf16", &self.mistyped),
            ("not used", &self.unused),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{} {what}: {}", names.len(), names.join(", ")))
        .collect();
        write!(f, "{}", parts.join("; "))
    }
}

/// Fills every float parameter of `module` from the safetensors files in `shards`; ids, devices and
/// gradient flags stay.
///
/// Keys may have `module.` and `_orig_mod.` segments; values may be f32, f16 or bf16.
///
/// # Errors
/// [`Error::Weights`] if a file is damaged; [`Error::WeightsMismatch`] with the whole report if a tensor is missing,
/// mis-shaped, non-finite or of another type.
pub fn load<M: Module>(module: M, shards: &[&[u8]]) -> Result<(M, LoadReport)> {
    let mut loader = Loader { tensors: parse(shards)?, ..Loader::default() };
    let module = module.map(&mut loader);
    let Loader { tensors, used, mut report, .. } = loader;
    report.unused = tensors
        .into_iter()
        .filter(|(key, _)| !used.contains(key) && !is_derived(key))
        .map(|(_, found)| found.name)
        .collect();
    if report.is_complete() { Ok((module, report)) } else { Err(Error::WeightsMismatch { report: Box::new(report) }) }
}

/// The module with zeros in place of weights, as if they had come from a file of f16.
pub fn blank<M: Module>(module: M) -> M {
    module.map(&mut Loader { blank: true, ..Loader::default() })
}

/// Official key and file shape of every float parameter of `module`, in the order of its fields.
pub fn shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    #[derive(Default)]
    struct Shapes(Path, Vec<(String, Vec<usize>)>);
    impl ModuleVisitor for Shapes {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let stored = self.0.stored();
            let mut shape = param.lazy_shape().to_vec();
            if stored.transposed {
                shape.reverse();
            }
            self.1.push((stored.key, shape));
        }
    }
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    shapes.1
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

#[derive(Default)]
struct Loader<'a> {
    /// What is not there is zeros.
    blank: bool,
    tensors: BTreeMap<String, Found<'a>>,
    path: Path,
    used: BTreeSet<String>,
    report: LoadReport,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let stored = self.path.stored();
        // The lazy shape: a fresh parameter need not be drawn only to be overwritten.
        let shape = param.lazy_shape().to_vec();
        let mut want = shape.clone();
        if stored.transposed {
            want.reverse();
        }
        let zeros = vec![0; if self.blank { 2 * want.iter().product::<usize>() } else { 0 }];
        let blank = TensorView::new(Dtype::F16, want.clone(), &zeros).ok().filter(|_| self.blank);
        let Some(view) = self.tensors.get(&stored.key).map(|found| &found.view).or(blank.as_ref()) else {
            self.report.missing.push(stored.key);
            return param;
        };
        self.used.insert(stored.key.clone());
        if view.shape() != want {
            self.report.misshaped.push(Misshaped { name: stored.key, want, got: view.shape().to_vec() });
            return param;
        }
        let Some(mut values) = floats(view) else {
            self.report.mistyped.push(stored.key);
            return param;
        };
        if !values.iter().all(|v| v.is_finite()) {
            self.report.nonfinite.push(stored.key);
            return param;
        }
        if stored.transposed {
            values = transposed(&values, want[0], want[1]);
        }
        self.report.loaded += 1;
        let id = param.id;
        let tensor = Tensor::from_data(TensorData::new(values, shape), &param.lazy_device());
        param.transform_for_load(tensor, id)
    }
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
pub(super) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
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
