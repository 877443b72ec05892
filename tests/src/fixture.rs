//! The reference numbers: a folder of safetensors files with a `manifest.json` that explains them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::{TestDevice, Tolerance, Values, assert_close};

/// The folder committed with the tests.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The folder that the parity tests read: the one named by `MAETOK_REFERENCE`, or [`fixtures`].
pub fn reference() -> PathBuf {
    // A relative path is meant from where cargo was called, but tests run inside their package.
    match std::env::var_os("MAETOK_REFERENCE").map(PathBuf::from) {
        None => fixtures(),
        Some(dir) if dir.is_absolute() || dir.is_dir() => dir,
        Some(dir) => Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(dir),
    }
}

/// The manifest of [`reference`].
///
/// # Panics
/// If it is missing or not JSON.
pub fn manifest() -> &'static Value {
    static MANIFEST: OnceLock<Value> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        let path = reference().join("manifest.json");
        let json = std::fs::read(&path).unwrap_or_else(|e| panic!("no reference manifest at {}: {e}", path.display()));
        serde_json::from_slice(&json).unwrap_or_else(|e| panic!("{} is not JSON: {e}", path.display()))
    })
}

/// One safetensors file of [`reference`].
#[derive(Debug)]
pub struct Fixture {
    name: String,
    bytes: Vec<u8>,
}

impl Fixture {
    /// Reads a file of the reference folder.
    ///
    /// # Panics
    /// If it is missing or damaged: a parity test without its numbers has failed, not been skipped.
    pub fn open(name: &str) -> Self {
        Self::read(&reference(), name)
    }

    /// Reads a file of [`fixtures`] that is not part of the reference set: numbers made by a script beside it.
    ///
    /// # Panics
    /// If it is missing or damaged.
    pub fn committed(name: &str) -> Self {
        Self::read(&fixtures(), name)
    }

    fn read(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let bytes =
            std::fs::read(&path).unwrap_or_else(|e| panic!("the reference file {} is missing: {e}", path.display()));
        SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{} is damaged: {e}", path.display()));
        Self { name: name.to_owned(), bytes }
    }

    /// The file's name in the reference folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole file, for a loader under test.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the manifest says about this file: `config`, `note`, …
    ///
    /// # Panics
    /// If the manifest does not list it.
    pub fn entry(&self) -> &'static Value {
        manifest()["files"]
            .get(&self.name)
            .unwrap_or_else(|| panic!("the reference manifest does not list {}", self.name))
    }

    /// All tensor names, sorted.
    pub fn names(&self) -> Vec<String> {
        let file = self.file();
        let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Whether the file has the tensor.
    pub fn has(&self, name: &str) -> bool {
        self.file().tensor(name).is_ok()
    }

    /// The tensor's shape.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.view(name, None).shape().to_vec()
    }

    /// Shape and values of an f32 tensor.
    pub fn f32(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let view = self.view(name, Some(Dtype::F32));
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        (view.shape().to_vec(), values)
    }

    /// Shape and values of an i64 tensor.
    pub fn i64(&self, name: &str) -> (Vec<usize>, Vec<i64>) {
        let view = self.view(name, Some(Dtype::I64));
        let value = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("eight bytes"));
        (view.shape().to_vec(), view.data().chunks_exact(8).map(value).collect())
    }

    /// Shape and values of a u8 tensor.
    pub fn u8(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let view = self.view(name, Some(Dtype::U8));
        (view.shape().to_vec(), view.data().to_vec())
    }

    /// A mask or flag tensor, stored as u8 or as f32 of 0 and 1.
    pub fn flags(&self, name: &str) -> (Vec<usize>, Vec<bool>) {
        match self.view(name, None).dtype() {
            Dtype::U8 => {
                let (shape, values) = self.u8(name);
                (shape, values.into_iter().map(|v| v != 0).collect())
            }
            _ => {
                let (shape, values) = self.f32(name);
                (shape, values.into_iter().map(|v| v != 0.0).collect())
            }
        }
    }

    /// The only value of an f32 tensor.
    pub fn scalar(&self, name: &str) -> f32 {
        let (shape, values) = self.f32(name);
        let [value] = values[..] else { panic!("{} of {} is {shape:?}, not one value", name, self.name) };
        value
    }

    /// An f32 tensor on a device.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = self.f32(name);
        assert_eq!(shape.len(), D, "rank of {name} in {}", self.name);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// An i64 tensor on a device.
    pub fn int_tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Int> {
        let (shape, values) = self.i64(name);
        assert_eq!(shape.len(), D, "rank of {name} in {}", self.name);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Compares values with the f32 tensor `name`, and writes the result into the parity report.
    ///
    /// # Panics
    /// If they disagree; the message says where and by how much.
    pub fn assert_close(&self, name: &str, on: &TestDevice, got: impl Values, tolerance: Tolerance) {
        let (shape, want) = self.f32(name);
        let (got_shape, got) = got.values();
        if let Some(got_shape) = got_shape {
            assert_eq!(got_shape, shape, "shape of {name} of {} on {}", self.name, on.label);
        }
        assert_close(&self.name, name, &on.label, &got, &want, tolerance);
    }

    /// Compares bytes with the u8 tensor `name`, allowing a difference of `allowed`.
    ///
    /// # Panics
    /// If they disagree.
    pub fn assert_bytes(&self, name: &str, got: &[u8], allowed: u8) {
        let (_, want) = self.u8(name);
        let floats = |bytes: &[u8]| bytes.iter().map(|b| f32::from(*b)).collect::<Vec<_>>();
        let tolerance = Tolerance { abs: f32::from(allowed), rel: 0.0, of_max: 0.0 };
        assert_close(&self.name, name, "host", &floats(got), &floats(&want), tolerance);
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("checked when opened")
    }

    fn view(&self, name: &str, dtype: Option<Dtype>) -> TensorView<'_> {
        let view = self
            .file()
            .tensor(name)
            .unwrap_or_else(|_| panic!("{} has no tensor {name}; it has {:?}", self.name, self.names()));
        if let Some(dtype) = dtype {
            assert_eq!(view.dtype(), dtype, "type of {name} in {}", self.name);
        }
        view
    }
}
