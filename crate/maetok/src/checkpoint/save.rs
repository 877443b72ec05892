//! A Burn module into safetensors bytes with official keys.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};
use maetok_shaders::linear::pack_int8;
use safetensors::tensor::{Dtype, View};
use serde::Deserialize;

use super::keys::Path;
use super::load::{int8_group, scale_key, transposed};
use crate::{Error, Result};

/// How [`save`] stores values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Four bytes, exact.
    F32,
    /// Two bytes, rounded to nearest.
    F16,
    /// The matrices of linear layers one byte a number, [`F16`](Self::F16) for all the rest. Beside a matrix `key`, `[N, K]`
    /// of int8, stands `key_scale`, `[N, K / 64]` of f32: what each 64 numbers of a row are multiplied by. A row that is
    /// no multiple of 64 has one scale, a matrix with a side that is no multiple of 4 none: it is f16.
    Int8,
}

/// The float parameters of `module` and the tensors of `extra` (by official key: shape and values) as a safetensors
/// file. Equal values give equal bytes.
///
/// # Errors
/// [`Error::Weights`] if a value is not finite in the chosen storage.
pub fn save<M: Module>(
    module: &M,
    storage: Storage,
    extra: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
) -> Result<Vec<u8>> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    let mut tensors = collector.tensors;
    tensors.extend(extra.iter().map(|(key, (shape, values))| (key.clone(), (shape.clone(), values.clone()))));

    let mut encoded: BTreeMap<String, Encoded> = BTreeMap::new();
    for (key, (shape, values)) in tensors {
        if storage == Storage::Int8 && collector.matrices.contains(&key) && shape.iter().all(|s| s.is_multiple_of(4)) {
            let [matrix, scales] = int8(&key, shape[0], shape[1], &values)?;
            encoded.extend([(scale_key(&key), scales), (key, matrix)]);
        } else {
            let one = encode(&key, shape, &values, storage)?;
            encoded.insert(key, one);
        }
    }
    // One entry only: the format's writer walks a hash map, and two entries could change places.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(encoded, Some(metadata))
        .map_err(|e| Error::weights(format!("The weights could not be written as safetensors: {e}")))
}

#[derive(Default)]
struct Collector {
    path: Path,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Keys of linear layers' matrices.
    matrices: BTreeSet<String>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let stored = self.path.stored();
        let mut shape = param.shape().to_vec();
        let data = param.val().into_data().convert_dtype(DType::F32);
        let mut values = data.try_to_vec::<f32>().expect("a float tensor converts to f32");
        if stored.transposed {
            values = transposed(&values, shape[0], shape[1]);
            shape.reverse();
            self.matrices.insert(stored.key.clone());
        }
        self.tensors.insert(stored.key, (shape, values));
    }
}

struct Encoded {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn encode(key: &str, shape: Vec<usize>, values: &[f32], storage: Storage) -> Result<Encoded> {
    let finite = match storage {
        Storage::F32 => values.iter().all(|v| v.is_finite()),
        Storage::F16 | Storage::Int8 => values.iter().all(|v| half::f16::from_f32(*v).is_finite()),
    };
    if !finite {
        return Err(not_finite(key, storage));
    }
    Ok(match storage {
        Storage::F32 => {
            Encoded { dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
        }
        Storage::F16 | Storage::Int8 => Encoded {
            dtype: Dtype::F16,
            shape,
            bytes: values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        },
    })
}

/// A matrix `[N, K]` and its scales.
fn int8(key: &str, n: usize, k: usize, values: &[f32]) -> Result<[Encoded; 2]> {
    let group = int8_group(k);
    let packed = pack_int8(&transposed(values, n, k), k, n, group).map_err(|_| not_finite(key, Storage::Int8))?;
    // Four rows of a column are a word in the module, four numbers of a row in the file.
    let bytes = transposed(&packed.words, k / 4, n).into_iter().flat_map(u32::to_le_bytes).collect();
    let groups = k / group;
    let scales = transposed(&packed.scales, groups, n).into_iter().flat_map(f32::to_le_bytes).collect();
    Ok([
        Encoded { dtype: Dtype::I8, shape: vec![n, k], bytes },
        Encoded { dtype: Dtype::F32, shape: vec![n, groups], bytes: scales },
    ])
}

fn not_finite(key: &str, storage: Storage) -> Error {
    Error::weights(format!("The tensor {key} holds a value that is not finite as {storage:?}"))
}

impl View for Encoded {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
