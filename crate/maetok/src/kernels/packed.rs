//! Matrices that stay in device memory as they ship: f16 in pairs, int8 with scales.

use std::sync::Arc;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Reparameterization};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use maetok_shaders::linear::{Int8, UNPACK, UnpackParams, unpack_grid};

use super::choice;
use super::launch::{Buffer, Slot, launch};
use super::linear::number;

/// Whether linear layers on `device` read packed weights: on a wgpu device, outside training, if the kernels for few and
/// for many rows are in order.
pub fn reads_packed(device: &Device) -> bool {
    let Some(buffer) = Buffer::of(&Tensor::<1>::zeros([4], device)) else { return false };
    [1, 5].iter().all(|rows| choice::linear(buffer.device(), *rows).is_some())
}

/// A matrix `[K, N]` on a device, packed for the kernels; `K` and `N` are multiples of 4.
#[derive(Clone, Debug)]
pub struct Packed {
    words: Tensor<2, Int>,
    scales: Option<Tensor<2>>,
    group: usize,
}

impl Packed {
    /// # Shapes
    /// - `words`: `[K/2, N]`, two rows of a column in each, as [`pack_f16`](maetok_shaders::linear::pack_f16) has them
    pub fn f16(words: Vec<u32>, n: usize, device: &Device) -> Self {
        let rows = words.len() / n;
        Self { words: on_device(words, n, device), scales: None, group: 2 * rows }
    }

    /// # Shapes
    /// - `words`: `[K/4, N]`, four rows of a column in each; `scales`: one row of `N` for each `group` rows of the matrix
    pub fn int8(Int8 { words, scales }: Int8, n: usize, group: usize, device: &Device) -> Self {
        let scales = TensorData::new(scales, [words.len().div_ceil(group / 4 * n), n]);
        Self { words: on_device(words, n, device), scales: Some(Tensor::from_data(scales, device)), group }
    }

    /// `[K, N]`
    pub fn dims(&self) -> [usize; 2] {
        let [rows, n] = self.words.dims();
        [rows * if self.scales.is_some() { 4 } else { 2 }, n]
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        let scales = self.scales.as_ref().map_or(0, |scales| scales.dims().iter().product());
        4 * (self.words.dims().iter().product::<usize>() + scales)
    }

    /// The matrix as f32: f16 as it was, int8 times its scales.
    ///
    /// # Panics
    /// If it has left the wgpu device that it was made on.
    pub fn unpacked(&self) -> Tensor<2> {
        let [k, n] = self.dims();
        let read = self.read().expect("packed weights are on a wgpu device");
        let y = read.words.fresh([k, n]);
        let params = [n, k, self.group].map(|size| number(size).expect("a matrix of countable sides"));
        let [n, k, group] = params;
        let slots = [Slot::In(&read.words), Slot::from(read.scales.as_ref()), Slot::Out(&y)];
        launch(&UNPACK, &[("WEIGHTS", read.line)], unpack_grid(n, k), &slots, &UnpackParams { n, k, group }.words());
        y.tensor()
    }

    pub(super) fn read(&self) -> Option<Read> {
        let scales = self.scales.as_ref().map(Buffer::of::<2>).map_or(Some(None), |buffer| buffer.map(Some))?;
        let line = if scales.is_some() { "INT8" } else { "F16" };
        Some(Read { line, words: Buffer::of_words(&self.words)?, scales, group: Some(self.group) })
    }
}

/// As integers of 32 bits, whatever they hold.
fn on_device(words: Vec<u32>, n: usize, device: &Device) -> Tensor<2, Int> {
    let words: Vec<i32> = words.into_iter().map(u32::cast_signed).collect();
    let shape = [words.len() / n, n];
    Tensor::from_data(TensorData::new(words, shape), (device, DType::I32))
}

/// The weights of a layer, `[K, N]`.
#[derive(Clone, Copy, Debug)]
pub enum Matrix<'a> {
    /// As f32.
    Plain(&'a Tensor<2>),
    /// In fewer bits.
    Packed(&'a Packed),
}

impl<'a> From<&'a Tensor<2>> for Matrix<'a> {
    fn from(weights: &'a Tensor<2>) -> Self {
        Self::Plain(weights)
    }
}

impl Matrix<'_> {
    /// `[K, N]`
    pub fn dims(self) -> [usize; 2] {
        match self {
            Self::Plain(weights) => weights.dims(),
            Self::Packed(packed) => packed.dims(),
        }
    }

    /// `None` where no kernel can read it.
    pub(super) fn read(self) -> Option<Read> {
        match self {
            Self::Plain(weights) => Some(Read { line: "F32", words: Buffer::of(weights)?, scales: None, group: None }),
            Self::Packed(packed) => packed.read(),
        }
    }
}

/// A matrix as a kernel is given it.
pub(super) struct Read {
    /// Value of the line `WEIGHTS`.
    pub line: &'static str,
    pub words: Buffer,
    pub scales: Option<Buffer>,
    /// Rows under one scale.
    pub group: Option<usize>,
}

/// What is attached to the weight of a linear layer that stays packed, where Burn attaches adapters: kernels find it
/// there, and everybody else finds the weight itself, unpacked when first asked for.
///
/// It does not outlive a change of the weight: after a mapper or the step to training has come by, or on another
/// device, it is empty and the weight alone counts.
#[derive(Clone, Debug)]
pub struct Packing(Option<Arc<Packed>>);

impl Packing {
    /// Of a weight whose value is `packed`.
    pub fn new(packed: Arc<Packed>) -> Self {
        Self(Some(packed))
    }

    /// The matrix, if it still is the weight.
    pub fn get(&self) -> Option<&Packed> {
        self.0.as_deref()
    }
}

impl Reparameterization for Packing {
    const NAME: &'static str = "packed";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

impl Module for Packing {
    fn visit<V: ModuleVisitor>(&self, _: &mut V) {}

    fn map<M: ModuleMapper>(self, _: &mut M) -> Self {
        Self(None)
    }

    fn train(self) -> Self {
        Self(None)
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.filter(|packed| packed.words.device() == *device))
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }
}
