//! Matrices kept as the loops and kernels read them: on a wgpu device as they ship, f16 in pairs or int8 with scales; on
//! the CPU in f32, in panels.

use std::sync::Arc;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Reparameterization};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use maetok_loops::Panels;
use maetok_shaders::linear::{Int8, UNPACK, UnpackParams, unpack_grid};

use super::launch::{Buffer, Slot, launch};
use super::linear::number;
use super::{choice, cpu};

/// Whether linear layers on `device` read packed weights: on a wgpu device, outside training, if the kernels for few and
/// for many rows are in order.
pub fn reads_packed(device: &Device) -> bool {
    let Some(buffer) = Buffer::of(&Tensor::<1>::zeros([4], device)) else { return false };
    [1, 5].iter().all(|rows| choice::linear(buffer.device(), *rows).is_some())
}

/// Whether linear layers on `device` read panels: on the CPU, outside training.
pub fn reads_panels(device: &Device) -> bool {
    cpu::computes_on(device)
}

/// A matrix `[K, N]` on a device, as what computes there reads it.
#[derive(Debug)]
pub enum Packed {
    /// On a wgpu device, in fewer bits.
    Words(Box<Words>),
    /// On the CPU, in f32.
    Panels(Panels),
}

/// A matrix `[K, N]` on a wgpu device in words of 32 bits; `K` and `N` are multiples of 4.
#[derive(Debug)]
pub struct Words {
    words: Tensor<2, Int>,
    scales: Option<Tensor<2>>,
    group: usize,
}

impl Packed {
    /// # Shapes
    /// - `words`: `[K/2, N]`, two rows of a column in each, as [`pack_f16`](maetok_shaders::linear::pack_f16) has them
    pub fn f16(words: Vec<u32>, n: usize, device: &Device) -> Self {
        let rows = words.len() / n;
        Self::Words(Words { words: on_device(words, n, device), scales: None, group: 2 * rows }.into())
    }

    /// # Shapes
    /// - `words`: `[K/4, N]`, four rows of a column in each; `scales`: one row of `N` for each `group` rows of the matrix
    pub fn int8(Int8 { words, scales }: Int8, n: usize, group: usize, device: &Device) -> Self {
        let scales = TensorData::new(scales, [words.len().div_ceil(group / 4 * n), n]);
        let scales = Some(Tensor::from_data(scales, device));
        Self::Words(Words { words: on_device(words, n, device), scales, group }.into())
    }

    /// Of a matrix `[K, N]`, row-major.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn panels(matrix: &[f32], n: usize) -> Self {
        Self::Panels(Panels::new(matrix, n))
    }

    /// `[K, N]`
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Words(words) => words.dims(),
            Self::Panels(panels) => panels.dims(),
        }
    }

    /// The matrix as f32, where it is: f16 as it was, int8 times its scales.
    ///
    /// # Panics
    /// If words have left the wgpu device that they were made on.
    pub fn unpacked(&self) -> Tensor<2> {
        match self {
            Self::Words(words) => words.unpacked(),
            Self::Panels(panels) => Tensor::from_data(TensorData::new(panels.rows(), panels.dims()), &Device::flex()),
        }
    }

    fn is_on(&self, device: &Device) -> bool {
        match self {
            Self::Words(words) => words.words.device() == *device,
            Self::Panels(_) => reads_panels(device),
        }
    }
}

impl Words {
    fn dims(&self) -> [usize; 2] {
        let [rows, n] = self.words.dims();
        [rows * if self.scales.is_some() { 4 } else { 2 }, n]
    }

    fn unpacked(&self) -> Tensor<2> {
        let [k, n] = self.dims();
        let read = self.read().expect("packed weights are on a wgpu device");
        let y = read.words.fresh([k, n]);
        let params = [n, k, self.group].map(|size| number(size).expect("a matrix of countable sides"));
        let [n, k, group] = params;
        let slots = [Slot::In(&read.words), Slot::from(read.scales.as_ref()), Slot::Out(&y)];
        launch(&UNPACK, &[("WEIGHTS", read.line)], unpack_grid(n, k), &slots, &UnpackParams { n, k, group }.words());
        y.tensor()
    }

    fn read(&self) -> Option<Read> {
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
    /// As it is read.
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
            Self::Packed(Packed::Words(words)) => words.read(),
            Self::Packed(Packed::Panels(_)) => None,
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
        Self(self.0.filter(|packed| packed.is_on(device)))
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
