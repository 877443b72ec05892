//! A Burn module into safetensors bytes with official keys.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};
use safetensors::tensor::{Dtype, View};

use super::keys::Path;
use super::load::transposed;
use crate::{Error, Result};

/// How [`save`] stores values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Four bytes, exact.
    F32,
    /// Two bytes, rounded to nearest.
    F16,
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
    let mut collector = Collector { path: Path::default(), tensors: BTreeMap::new() };
    module.visit(&mut collector);
    let mut tensors = collector.tensors;
    tensors.extend(extra.iter().map(|(key, (shape, values))| (key.clone(), (shape.clone(), values.clone()))));

    let tensors = tensors
        .into_iter()
        .map(|(key, (shape, values))| Ok((encode(&key, shape, &values, storage)?, key)))
        .map(|pair: Result<_>| pair.map(|(bytes, key)| (key, bytes)))
        .collect::<Result<Vec<(String, Encoded)>>>()?;
    // One entry only: the format's writer walks a hash map, and two entries could change places.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(tensors, Some(metadata))
        .map_err(|e| Error::weights(format!("The weights could not be written as safetensors: {e}")))
}

struct Collector {
    path: Path,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
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
        Storage::F16 => values.iter().all(|v| half::f16::from_f32(*v).is_finite()),
    };
    if !finite {
        return Err(Error::weights(format!("The tensor {key} holds a value that is not finite as {storage:?}")));
    }
    Ok(match storage {
        Storage::F32 => {
            Encoded { dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
        }
        Storage::F16 => Encoded {
            dtype: Dtype::F16,
            shape,
            bytes: values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        },
    })
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
