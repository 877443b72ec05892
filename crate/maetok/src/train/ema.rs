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

    /// `average -= (1 - decay) (average - live)`, parameter by parameter.
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
        // In this form an average that has arrived stays there bit for bit: `x - 0` is `x`, where `x + 0` would make a
        // positive zero of a negative one.
        param.map(|average| {
            let way = (average.clone() - live).mul_scalar(share);
            average - way
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn an_average_moves_towards_the_weights_and_stays_bit_for_bit_where_they_stand_still() {
        let device = Device::flex();
        let with = |values: [[f32; 2]; 2]| {
            let linear = LinearConfig::new(2, 2).with_bias(false).init(&device);
            Linear { weight: linear.weight.map(|_| Tensor::from_floats(values, &device)), bias: None }
        };
        let bits = |linear: &Linear| -> Vec<u32> {
            let values: Vec<f32> = linear.weight.val().into_data().try_to_vec().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        let still = with([[-0.0, 0.0], [1e-40, -3.75]]);
        let mut ema = Ema::new(&still);
        ema.update(&still, 0.9);
        assert_eq!(bits(ema.module()), bits(&still));

        let id = still.weight.id;
        let mut moved = with([[1.0, 1.0], [1.0, 1.0]]);
        moved.weight = Param::initialized(id, moved.weight.val());
        ema.update(&moved, 0.75);
        let values: Vec<f32> = ema.module().weight.val().into_data().try_to_vec().unwrap();
        assert_eq!(values, [0.25, 0.25, 0.25, -2.5625]);
    }
}
