//! AdamW with the weight decay where it belongs, clipping by the norm of *all* gradients, stable names.
//!
//! Source: MAETok's training recipe (weight decay not on biases and one-dimensional tensors, gradients
//! clipped to a global norm of 1); AdamW after Loshchilov and Hutter 2019, as Burn implements it.

use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Tensor};
use serde::{Deserialize, Serialize};

use crate::checkpoint::is_variant;
use crate::{Error, Result};

/// Settings of AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// Memory of the first moment.
    pub beta_1: f32,
    /// Memory of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled decay of matrices and larger tensors.
    pub weight_decay: f32,
}

impl AdamW {
    /// An optimiser for the parameters of `module`.
    pub fn init<M: Module>(&self, module: &M) -> ModuleOptimizer {
        let config = AdamWConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.epsilon)
            .with_weight_decay(self.weight_decay);
        let optimiser = ModuleOptimizer::from(config.build());
        if self.weight_decay == 0.0 {
            return optimiser;
        }
        let mut vectors = Vectors::default();
        module.visit(&mut vectors);
        optimiser.with_group(ParamGroup::from_paths(vectors.found), config.with_weight_decay(0.0).build(), None)
    }
}

/// The optimiser's state as bytes.
///
/// # Errors
/// [`Error::Training`] if Burn cannot write it.
pub fn store(optimiser: &ModuleOptimizer) -> Result<Vec<u8>> {
    let bytes = optimiser
        .into_bytes()
        .map_err(|problem| Error::training(format!("The optimiser's state could not be written: {problem}")))?;
    Ok(bytes.to_vec())
}

/// Puts a state that [`store`] wrote into an optimiser of the same kind.
///
/// # Errors
/// [`Error::Training`] naming `path` if the bytes are no such state.
pub fn restore(optimiser: ModuleOptimizer, bytes: Vec<u8>, path: &Path) -> Result<ModuleOptimizer> {
    optimiser.from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|problem| {
        Error::training(format!("{} does not hold the optimiser's state: {problem}", path.display()))
    })
}

/// Collects the paths of the one-dimensional parameters.
#[derive(Default)]
struct Vectors {
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for Vectors {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        if D == 1 {
            self.found.push(self.path.join("."));
        }
    }
}

/// Gives every parameter an identity that follows from its place in the module.
///
/// Burn draws identities at random and keys the optimiser's state by them; with these, the state of an
/// earlier process fits the module of this one.
pub fn with_stable_ids<M: Module>(module: M) -> M {
    module.map(&mut StableIds::default())
}

#[derive(Default)]
struct StableIds {
    path: Vec<String>,
}

impl ModuleMapper for StableIds {
    fn enter_module(&mut self, name: &str, container: &str) {
        // As in the files' keys: a network keeps its optimiser's state when it becomes one of several.
        if !is_variant(container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        if !is_variant(container) {
            self.path.pop();
        }
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, tensor, mapper) = param.consume();
        Param::from_mapped_value(ParamId::from(fnv1a(&self.path.join("."))), tensor, mapper)
    }
}

/// FNV-1a, 64 bits: fixed for ever, unlike the hash of the standard library.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Scales all gradients of `module` so that their common Euclidean norm is at most `limit`; returns them
/// with the norm before.
///
/// Burn's own clipping looks at each tensor alone, which bends the direction of the step. The norm is read
/// back, once; where it is not finite the gradients come back as they are, for the caller to drop.
pub fn clip_by_global_norm<M: Module>(mut grads: GradientsParams, module: &M, limit: f64) -> (GradientsParams, f64) {
    let mut squares = Squares { grads: &grads, found: Vec::new() };
    module.visit(&mut squares);
    if squares.found.is_empty() {
        return (grads, 0.0);
    }
    let norm = Tensor::cat(squares.found, 0).sum().sqrt().into_scalar::<f32>() as f64;
    // The small term is that of the reference's clipping.
    let factor = limit / (norm + 1e-6);
    if factor < 1.0 {
        module.visit(&mut Scale { grads: &mut grads, factor });
    }
    (grads, norm)
}

struct Squares<'a> {
    grads: &'a GradientsParams,
    found: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.found.push(grad.square().sum());
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.mul_scalar(self.factor));
        }
    }
}
