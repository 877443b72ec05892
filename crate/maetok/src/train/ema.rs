//! Moving average of the weights: what a run ships and what it is measured with.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

/// Decay at update `step` (0-based).
///
/// With `warm`, `min(decay, (1 + s) / (10 + s))`: a fixed 0.9999 would still be mostly initial noise at the
/// end of a run of a few thousand steps.
pub fn decay_at(decay: f64, warm: bool, step: u64) -> f64 {
    let step = step as f64;
    if warm { decay.min((1.0 + step) / (10.0 + step)) } else { decay }
}

/// The averaged copy of a module.
pub struct Ema<M> {
    /// Always there but within `update`, where the module must be owned once to be changed in place.
    module: Option<M>,
}

impl<M: Module> Ema<M> {
    /// Starts from `module` as it is, off the autodiff device.
    pub fn new(module: &M) -> Self {
        Self { module: Some(module.valid()) }
    }

    /// Goes on from an average saved earlier.
    pub fn resume(average: M) -> Self {
        Self { module: Some(average) }
    }

    /// The averaged module.
    pub fn module(&self) -> &M {
        self.module.as_ref().expect("the averaged module is put back by every update")
    }

    /// The averaged module, taken out.
    pub fn into_module(self) -> M {
        self.module.expect("the averaged module is put back by every update")
    }

    /// `average += (1 - decay) (live - average)`, parameter by parameter.
    pub fn update(&mut self, live: &M, decay: f64) {
        let mut values = Values(TensorContainer::new());
        live.visit(&mut values);
        let module = self.module.take();
        self.module = module.map(|module| module.map(&mut Blend { live: values.0, share: 1.0 - decay }));
    }
}

struct Values(TensorContainer<ParamId>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.0.register(param.id, if value.is_autodiff() { value.inner() } else { value });
    }
}

struct Blend {
    live: TensorContainer<ParamId>,
    share: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(live) = self.live.remove::<Tensor<D>>(&param.id) else {
            return param;
        };
        let share = self.share;
        // In this form a parameter that does not move stays exactly where it is.
        param.map(|average| {
            let way = (live - average.clone()).mul_scalar(share);
            average + way
        })
    }
}
