//! From tensors to a dispatch and back: the only place that knows Burn's internal side.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::backend::{BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_wgpu::{CubeDim, CubeTensor, into_contiguous};
use cubecl::client::Client;
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::ir::metadata::Info;
use cubecl::ir::{ElemType, UIntKind};
use cubecl::prelude::{AddressType, ExecutionMode, KernelDefinition, KernelId, KernelMetadata, KernelSettings, Scope};
use cubecl::server::{Handle, KernelArguments};
use cubecl::{CubeCount, CubeKernel, Device, PrecompiledSource};
use maetok_shaders::{Kernel, LONGEST};

use super::choice;

/// A tensor's numbers on a wgpu device, row-major.
#[derive(Clone)]
pub(super) struct Buffer(CubeTensor);

impl Buffer {
    /// The buffer of an f32 tensor; `None` if it lies elsewhere, has other numbers, or takes part in training.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        Self::taken(tensor.clone())
    }

    /// The buffer of packed weights; `None` if it lies elsewhere.
    pub fn of_words(words: &Tensor<2, Int>) -> Option<Self> {
        let DispatchTensorKind::Cube(BackendTensor::Int(words)) = words.clone().into_dispatch().kind else {
            return None;
        };
        let fits = matches!(words.device, Device::Wgpu(_)) && words.dtype == DType::I32;
        fits.then(|| Self(into_contiguous(words)))
    }

    /// [`of`](Self::of) a tensor that nobody else needs any more.
    pub fn taken<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        let DispatchTensor {
            kind: DispatchTensorKind::Cube(BackendTensor::Float(tensor)),
            autodiff: DispatchAutodiffContext::Disabled,
        } = tensor.into_dispatch()
        else {
            return None;
        };
        let fits = matches!(tensor.device, Device::Wgpu(_)) && tensor.dtype == DType::F32 && tensor.qparams.is_none();
        fits.then(|| Self(into_contiguous(tensor)))
    }

    /// Where it lies.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// How many numbers.
    pub fn len(&self) -> usize {
        self.0.meta.shape().num_elements()
    }

    /// Whether no other tensor shares it, so that a kernel may change it in place.
    pub fn is_unshared(&self) -> bool {
        self.0.handle.can_mut()
    }

    /// A new tensor on the same device, not yet written. In tests it is full of NaN, so that what a kernel leaves out
    /// shows.
    pub fn fresh(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let bytes = 4 * shape.num_elements();
        let handle = match cfg!(test) {
            true => self.0.client.create_from_slice(&vec![0xff; bytes]),
            false => self.0.client.empty(bytes),
        };
        let (client, device) = (self.0.client.clone(), self.0.device.clone());
        Self(CubeTensor::new_contiguous(client, device, shape, handle, DType::F32))
    }

    /// The tensor again.
    pub fn tensor<const D: usize>(self) -> Tensor<D> {
        Tensor::from_dispatch(DispatchTensor {
            kind: DispatchTensorKind::Cube(BackendTensor::Float(self.0)),
            autodiff: DispatchAutodiffContext::Disabled,
        })
    }

    /// The tensor of what a kernel wrote as `i32` or `u32`.
    pub fn words<const D: usize>(self) -> Tensor<D, Int> {
        let words = CubeTensor { dtype: DType::I32, ..self.0 };
        Tensor::from_dispatch(DispatchTensor {
            kind: DispatchTensorKind::Cube(BackendTensor::Int(words)),
            autodiff: DispatchAutodiffContext::Disabled,
        })
    }

    fn handle(&self) -> Handle {
        self.0.handle.clone()
    }
}

/// What stands at a binding.
#[derive(Clone, Copy)]
pub(super) enum Slot<'a> {
    /// Only read.
    In(&'a Buffer),
    /// Written, or read and written.
    Out(&'a Buffer),
    /// A table that is the same in every call.
    Constant(&'a [u32]),
    /// This variant ignores it.
    Unused,
}

impl<'a> From<Option<&'a Buffer>> for Slot<'a> {
    fn from(buffer: Option<&'a Buffer>) -> Self {
        buffer.map_or(Self::Unused, Self::In)
    }
}

/// One dispatch of `kernel` with the lines `choices` swapped. `slots` stand in the order of the file's bindings, the
/// params come after them.
pub(super) fn launch(
    kernel: &'static Kernel,
    choices: &[(&'static str, &'static str)],
    grid: [u32; 3],
    slots: &[Slot<'_>],
    params: &[u32],
) {
    let written = |slot: &Slot<'_>| matches!(slot, Slot::Out(_));
    let Some(Slot::Out(Buffer(output))) = slots.iter().find(|slot| written(slot)) else {
        unreachable!("{} writes nothing", kernel.name)
    };
    let (client, device) = (&output.client, &output.device);
    let mut arguments = KernelArguments::new();
    for slot in slots {
        // Told which is which, a kernel that the device refuses spoils its output alone, not the weights it would have read.
        let (handle, io) = match slot {
            Slot::In(buffer) => (buffer.handle(), BufferIOAttr::ReadOnly),
            Slot::Out(buffer) => (buffer.handle(), BufferIOAttr::ReadWrite),
            Slot::Constant(words) => (constant(client, device, words), BufferIOAttr::ReadOnly),
            Slot::Unused => (constant(client, device, &[0; 4]), BufferIOAttr::ReadOnly),
        };
        arguments = arguments.with_buffer_io(handle.binding(), io);
    }
    let arguments = arguments.with_buffer_io(constant(client, device, params).binding(), BufferIOAttr::ReadOnly);
    let [x, y, z] = grid;
    let variant = Variant { kernel, choices: choices.to_vec() };
    client.launch(Box::new(variant), CubeCount::Static(x, y, z), arguments);
    choice::count_launch();
}

thread_local! {
    /// Multiply-adds that this thread queued by [`queue`] since it last submitted. Two devices in turn on one thread
    /// are submitted sooner than they need be.
    static QUEUED: Cell<u64> = const { Cell::new(0) };
}

/// Before a dispatch for software adapters that writes `output`: submits what waits in CubeCL's queue if with the dispatch
/// it would be longer than [`LONGEST`]. By itself the queue goes when it has 32 dispatches, however long they are, and
/// until such a submission is over a software adapter answers to nobody. Only products are counted; the other
/// dispatches of a network are short.
pub(super) fn queue(Buffer(output): &Buffer, multiply_adds: u64) {
    let (queued, submit) = queued(QUEUED.get(), multiply_adds);
    QUEUED.set(queued);
    if submit {
        // What is wrong with the device, whoever reads the output will hear.
        let _ = output.client.flush();
    }
}

/// What is queued after a dispatch, and whether what was before it is submitted first.
fn queued(before: u64, dispatch: u64) -> (u64, bool) {
    match before.checked_add(dispatch) {
        Some(both) if both <= LONGEST => (both, false),
        _ => (dispatch, before > 0),
    }
}

/// A variant of a kernel, as CubeCL wants it. Not by way of Burn's own wrapper: there every kernel is called `main`, and
/// so is one that a device refuses.
struct Variant {
    kernel: &'static Kernel,
    choices: Vec<(&'static str, &'static str)>,
}

impl CubeKernel for Variant {
    /// Nothing to compile: the text is what a compiler would have produced.
    fn define(&self) -> KernelDefinition {
        let [across, down, deep] = self.kernel.workgroup;
        let dim = CubeDim::new_3d(across, down, deep);
        let settings = KernelSettings::new(dim.0, ExecutionMode::Checked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        let name = self.kernel.name;
        let text = self.kernel.text(&self.choices).replace("fn main(", &format!("fn {name}("));
        // Outside browsers several tensors may share one wgpu buffer, which a dispatch must not bind in two ways.
        let source = match cfg!(target_family = "wasm") {
            true => text,
            false => text.replace("var<storage, read>", "var<storage, read_write>"),
        };
        Some(PrecompiledSource { source, entrypoint_name: name.to_owned(), lang: "wgsl" })
    }
}

impl KernelMetadata for Variant {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info((self.kernel.name, self.choices.clone()))
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

/// Most params kept; a model has a few dozen, but callers may come with ever new sizes.
const KEPT: usize = 4096;

/// A buffer of `words` that nobody writes to: params are few and come again in every step.
fn constant(client: &Client, device: &Device, words: &[u32]) -> Handle {
    type Constants = HashMap<(Device, Vec<u32>), Handle>;
    static ALL: LazyLock<Mutex<Constants>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= KEPT {
        all.clear();
    }
    let new = || client.create_from_slice(bytemuck::cast_slice(words));
    all.entry((device.clone(), words.to_vec())).or_insert_with(new).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_submission_is_longer_than_the_longest_but_for_a_dispatch_that_is() {
        let third = LONGEST / 3;
        for (dispatches, submitted) in [
            (vec![third, third, third, third], vec![3 * third]),
            (vec![third, LONGEST, 1], vec![third, LONGEST]),
            (vec![LONGEST + 1, 1], vec![LONGEST + 1]),
            (vec![u64::MAX, u64::MAX], vec![u64::MAX]),
            (vec![LONGEST, 0], vec![]),
        ] {
            let (mut before, mut seen) = (0, Vec::new());
            for dispatch in &dispatches {
                let (after, submit) = queued(before, *dispatch);
                if submit {
                    seen.push(before);
                }
                before = after;
            }
            assert_eq!(seen, submitted, "{dispatches:?}");
        }
    }
}
