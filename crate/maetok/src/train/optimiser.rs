//! AdamW with the weight decay where it belongs, and Muon where wanted; clipping by the norm of *all* gradients; stable
//! names.
//!
//! Source: MAETok's training recipe (weight decay not on biases and one-dimensional tensors, gradients
//! clipped to a global norm of 1); AdamW after Loshchilov and Hutter 2019.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::checks::{check_not_negative, check_positive};
use super::muon;
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
    /// Memory of [Muon's](super::muon) momentum, which then updates the matrices inside the blocks; without it, all is
    /// AdamW's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<f32>,
}

impl AdamW {
    /// An optimiser that has not made an update yet.
    pub fn init(self) -> Optimiser {
        Optimiser { settings: self, moments: HashMap::new() }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that makes no sense.
    pub fn validate(&self) -> Result<()> {
        let memories = [("beta_1", Some(self.beta_1)), ("beta_2", Some(self.beta_2)), ("muon", self.muon)];
        for (name, memory) in memories {
            if let Some(memory) = memory.filter(|memory| !(0.0..1.0).contains(memory)) {
                return Err(Error::setting(name, memory, "at least 0 and below 1"));
            }
        }
        check_positive(&[("epsilon", f64::from(self.epsilon))])?;
        check_not_negative(&[("weight decay", f64::from(self.weight_decay))])
    }
}

/// AdamW with the memory it keeps of every parameter.
///
/// Burn has one too, but restores it onto the process's default device: where no GPU adapter is found, a run on the
/// CPU could not be resumed (Burn 0.22.1, `ModuleOptimizer::load_record`).
pub struct Optimiser {
    settings: AdamW,
    moments: HashMap<ParamId, Moments>,
}

/// What is remembered of one parameter, its values in a row.
struct Moments {
    /// Mean of the gradients; Muon's momentum is their sum.
    first: Tensor<1>,
    /// Mean of their squares, which Muon has no use for.
    second: Option<Tensor<1>>,
    /// Updates so far.
    updates: i32,
}

impl Optimiser {
    /// One update of every parameter that has a gradient, at learning rate `rate`.
    ///
    /// The module is taken and given back: one that is cloned would be copied, not changed in place.
    pub fn step<M: Module>(&mut self, rate: f64, module: M, grads: GradientsParams) -> M {
        module.map(&mut Step { optimiser: self, rate, grads, path: Vec::new() })
    }

    /// The memory as a safetensors file, by the parameters' identities (see [`with_stable_ids`]).
    ///
    /// # Errors
    /// [`Error::Training`] if it cannot be written.
    pub fn store(&self) -> Result<Vec<u8>> {
        let mut tensors: Vec<(String, Dtype, Vec<u8>)> = Vec::new();
        for (id, moments) in &self.moments {
            let known = [("first", Some(&moments.first)), ("second", moments.second.as_ref())];
            for (name, values) in known.into_iter().filter_map(|(name, values)| Some((name, values?))) {
                let values: Vec<f32> = values.clone().into_data().iter().collect();
                tensors.push((format!("{}.{name}", id.val()), Dtype::F32, bytemuck::cast_slice(&values).to_vec()));
            }
            let updates = moments.updates.to_le_bytes().to_vec();
            tensors.push((format!("{}.updates", id.val()), Dtype::I32, updates));
        }
        let views = tensors.iter().map(|(name, dtype, bytes)| {
            let size = bytes.len() / 4;
            Ok((name.as_str(), TensorView::new(*dtype, vec![size], bytes)?))
        });
        views
            .collect::<Result<Vec<_>, SafeTensorError>>()
            .and_then(|views| safetensors::serialize(views, None))
            .map_err(|problem| Error::training(format!("The optimiser's state could not be written: {problem}")))
    }

    /// Puts back a memory that [`store`](Self::store) wrote of the parameters of `module`, onto `device`.
    ///
    /// # Errors
    /// [`Error::Training`] naming `path` if the bytes are no such memory, or that of another module.
    pub fn restore<M: Module>(mut self, bytes: &[u8], path: &Path, module: &M, device: &Device) -> Result<Self> {
        let mut known = Known::default();
        module.visit(&mut known);
        let refuse = |problem: String| {
            Error::training(format!("{} does not hold the optimiser's state: {problem}", path.display()))
        };
        let file = SafeTensors::deserialize(bytes).map_err(|problem| refuse(problem.to_string()))?;
        let ids: BTreeSet<u64> =
            file.names().into_iter().filter_map(|name| name.split_once('.')?.0.parse().ok()).collect();
        for id in ids {
            let tensor = |name: &str| {
                let name = format!("{id}.{name}");
                file.tensor(&name).map_err(|problem| refuse(format!("{name}: {problem}")))
            };
            let values = |name: &str| -> Result<Tensor<1>> {
                let view = tensor(name)?;
                let values: Vec<f32> =
                    view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
                Ok(Tensor::from_floats(values.as_slice(), device))
            };
            let Some((parameter, size)) = known.parameters.get(&ParamId::from(id)) else {
                return Err(refuse(format!("it remembers a parameter ({id}) that the network does not have")));
            };
            for name in ["first", "second"] {
                let name = format!("{id}.{name}");
                let got = file.tensor(&name).map_or(*size, |view| view.data().len() / 4);
                if got != *size {
                    return Err(refuse(format!("it remembers {got} values of {parameter}, which has {size}")));
                }
            }
            let updates = <[u8; 4]>::try_from(tensor("updates")?.data())
                .map_err(|_| refuse(format!("{id}.updates is not one number")))?;
            let second = file.names().contains(&format!("{id}.second").as_str());
            let moments = Moments {
                first: values("first")?,
                second: second.then(|| values("second")).transpose()?,
                updates: i32::from_le_bytes(updates),
            };
            self.moments.insert(ParamId::from(id), moments);
        }
        Ok(self)
    }
}

/// Name and number of values of every parameter.
#[derive(Default)]
struct Known {
    path: Vec<String>,
    parameters: HashMap<ParamId, (String, usize)>,
}

impl ModuleVisitor for Known {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.parameters.insert(param.id, (self.path.join("."), param.shape().num_elements()));
    }
}

/// One update, parameter by parameter.
struct Step<'a> {
    optimiser: &'a mut Optimiser,
    rate: f64,
    grads: GradientsParams,
    /// Names of the modules around the parameter, and its own.
    path: Vec<String>,
}

impl Step<'_> {
    /// AdamW's change of a parameter, in units of the learning rate, and what is remembered of it.
    fn adamw(&self, known: Option<Moments>, grad: Tensor<1>) -> (Tensor<1>, Moments) {
        let AdamW { beta_1, beta_2, epsilon, .. } = self.optimiser.settings;
        let (beta_1, beta_2) = (f64::from(beta_1), f64::from(beta_2));
        let (first, second) = (grad.clone() * (1.0 - beta_1), grad.square() * (1.0 - beta_2));
        let (first, second, updates) = match known {
            Some(Moments { first: m, second: Some(v), updates }) => {
                (m * beta_1 + first, v * beta_2 + second, updates + 1)
            }
            _ => (first, second, 1),
        };
        // The means started at zero and are too small by these factors.
        let mean = first.clone() / (1.0 - beta_1.powi(updates));
        let square = second.clone() / (1.0 - beta_2.powi(updates));
        (mean / (square.sqrt() + f64::from(epsilon)), Moments { first, second: Some(second), updates })
    }

    /// Muon's change of a matrix, with Nesterov's look ahead.
    fn muon(
        &self,
        memory: f64,
        known: Option<Moments>,
        grad: Tensor<1>,
        (shape, matrices): (&Shape, usize),
    ) -> (Tensor<1>, Moments) {
        let (momentum, updates) = match known {
            Some(Moments { first, second: None, updates }) => (first * memory + grad.clone(), updates + 1),
            _ => (grad.clone(), 1),
        };
        let ahead = grad + momentum.clone() * memory;
        (muon::update(ahead, shape, matrices), Moments { first: momentum, second: None, updates })
    }
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.remove::<D>(param.id) else {
            return param;
        };
        let AdamW { weight_decay, muon, .. } = self.optimiser.settings;
        let (id, tensor, mapper) = param.consume();
        let trained = tensor.is_require_grad();
        let tensor = tensor.inner();
        let shape = tensor.shape();
        let grad: Tensor<1> = grad.flatten(0, D - 1);
        let known = self.optimiser.moments.remove(&id);
        let (change, moments) = match muon.zip(muon::matrices(&self.path)) {
            Some((memory, matrices)) => self.muon(f64::from(memory), known, grad, (&shape, matrices)),
            None => self.adamw(known, grad),
        };
        let change: Tensor<D> = change.reshape(shape);
        self.optimiser.moments.insert(id, moments);

        let decay = if D > 1 { f64::from(weight_decay) } else { 0.0 };
        let tensor = if decay > 0.0 { tensor * (1.0 - self.rate * decay) } else { tensor };
        let tensor = Tensor::from_inner(tensor - change * self.rate);
        let tensor = if trained { tensor.require_grad() } else { tensor };
        Param::from_mapped_value(id, tensor, mapper)
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

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Distribution;

    use super::*;
    use crate::diffusion::{GeneratorConfig, LightningConfig, SitConfig};

    const MUON: AdamW = AdamW { beta_1: 0.9, beta_2: 0.95, epsilon: 1e-8, weight_decay: 0.0, muon: Some(0.95) };

    /// Names of parameters, and a gradient for each.
    #[derive(Default)]
    struct Named {
        path: Vec<String>,
        names: Vec<(String, ParamId)>,
        grads: GradientsParams,
    }

    impl ModuleVisitor for Named {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.names.push((self.path.join("."), param.id));
            let device = param.val().device().inner();
            let grad = Tensor::<D>::random(param.val().shape(), Distribution::Default, &device);
            self.grads.register(param.id, grad);
        }
    }

    /// Names of the parameters that Muon updated, by the memory that only AdamW keeps.
    fn with_muon<M: Module>(module: M) -> Vec<String> {
        let module = with_stable_ids(module);
        let mut named = Named::default();
        module.visit(&mut named);
        let mut optimiser = MUON.init();
        optimiser.step(1e-3, module, named.grads);
        let of_muon = |id: &ParamId| optimiser.moments[id].second.is_none();
        named.names.into_iter().filter(|(_, id)| of_muon(id)).map(|(name, _)| name).collect()
    }

    #[test]
    fn muon_is_for_the_matrices_of_attention_and_mlp_in_every_network() {
        let device = Device::flex();
        let tokenizer = with_muon(crate::train::tests::tiny().init(&device).unwrap());
        let sit = SitConfig { width: 32, depth: 2, heads: 2, ..SitConfig::toon(2) };
        let sit = with_muon(GeneratorConfig::from(sit).init(&device).unwrap());
        let lightning = LightningConfig { width: 32, depth: 2, heads: 2, ..LightningConfig::toon(2) };
        let lightning = with_muon(GeneratorConfig::from(lightning).init(&device).unwrap());
        let config = crate::train::tests::tiny();
        for (names, blocks) in [(tokenizer, config.encoder.depth + config.decoder.depth), (sit, 2), (lightning, 2)] {
            assert_eq!(names.len(), 4 * blocks, "qkv, proj and two layers of the MLP in each of {blocks}: {names:?}");
            assert_eq!(names.iter().filter(|name| name.ends_with("attn.qkv.weight")).count(), blocks, "{names:?}");
        }
    }

    #[test]
    fn a_memory_of_another_network_is_refused_by_the_parameters_name() {
        let device = Device::flex();
        let network = |inputs, bias| {
            let linear = LinearConfig::new(inputs, 2).with_bias(bias).init(&device);
            with_stable_ids(linear)
        };
        let mut named = Named::default();
        let linear = network(3, true);
        linear.visit(&mut named);
        let mut optimiser = AdamW { muon: None, ..MUON }.init();
        optimiser.step(1e-3, linear, named.grads);
        let stored = optimiser.store().unwrap();
        let restored = |module: &Linear| MUON.init().restore(&stored, Path::new("memory"), module, &device);
        assert_eq!(restored(&network(3, true)).map(|optimiser| optimiser.moments.len()).unwrap(), 2);
        let longer = restored(&network(4, true)).map(|_| ()).unwrap_err().to_string();
        assert!(longer.contains("6 values of weight, which has 8"), "{longer}");
        let fewer = restored(&network(3, false)).map(|_| ()).unwrap_err().to_string();
        assert!(fewer.contains("that the network does not have"), "{fewer}");
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused_by_name() {
        assert!(MUON.validate().is_ok());
        for (settings, name) in [
            (AdamW { muon: Some(1.5), ..MUON }, "muon"),
            (AdamW { muon: Some(f32::NAN), ..MUON }, "muon"),
            (AdamW { beta_2: 1.0, ..MUON }, "beta_2"),
            (AdamW { epsilon: 0.0, ..MUON }, "epsilon"),
            (AdamW { weight_decay: -1.0, ..MUON }, "weight decay"),
        ] {
            let refused = settings.validate().unwrap_err();
            assert!(matches!(refused, Error::Setting { name: n, .. } if n == name), "{refused}");
        }
    }
}
