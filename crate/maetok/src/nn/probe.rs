//! A window into a forward pass: every named stage is shown to a [`Probe`].
//!
//! The parity tests compare each stage with the reference through it. `()` looks at nothing and costs nothing.

use burn::tensor::Tensor;
#[cfg(test)]
use burn::tensor::TensorData;

/// Sees the named intermediate tensors of a forward pass.
pub trait Probe {
    /// Whether anything is looked at; stages that exist for the probe alone are then not computed.
    const ACTIVE: bool = true;
    /// The stages that follow belong to part `name` (number `index`, where there are several).
    fn enter(&mut self, name: &'static str, index: Option<usize>);
    /// The part entered last is over.
    fn exit(&mut self);
    /// Stage `name` has value `tensor`.
    fn see<const D: usize>(&mut self, name: &'static str, tensor: &Tensor<D>);
}

impl Probe for () {
    const ACTIVE: bool = false;
    fn enter(&mut self, _: &'static str, _: Option<usize>) {}
    fn exit(&mut self) {}
    fn see<const D: usize>(&mut self, _: &'static str, _: &Tensor<D>) {}
}

/// Collects every stage under its dotted name, for tests.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Recorder {
    path: Vec<String>,
    /// `(name, values)` in the order seen.
    pub stages: Vec<(String, TensorData)>,
}

#[cfg(test)]
impl Probe for Recorder {
    fn enter(&mut self, name: &'static str, index: Option<usize>) {
        self.path.push(match index {
            Some(index) => format!("{name}{index}"),
            None => name.to_owned(),
        });
    }
    fn exit(&mut self) {
        self.path.pop();
    }
    fn see<const D: usize>(&mut self, name: &'static str, tensor: &Tensor<D>) {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        // Copied at once: on adapters that share the host's memory, what a read returns can still change when the next
        // operation reuses the tensor's buffer.
        let values: Vec<f32> = tensor.clone().into_data().try_to_vec().expect("f32 values");
        self.stages.push((path.join("."), TensorData::new(values, tensor.dims())));
    }
}
