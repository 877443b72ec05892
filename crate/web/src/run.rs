//! Pictures on their way.

use js_sys::{Float32Array, Float64Array};
use maetok::pipeline::{self, Pipeline, SampleRun};
use wasm_bindgen::prelude::*;

/// Pictures on their way. Made by `Engine::start` and `Engine::resume`, ended by `free()`.
#[wasm_bindgen]
pub struct Run {
    pub(crate) run: SampleRun,
}

impl Run {
    pub(crate) fn new(run: SampleRun) -> Self {
        Self { run }
    }
}

#[wasm_bindgen]
impl Run {
    /// Number of steps taken.
    #[wasm_bindgen(getter)]
    pub fn taken(&self) -> u32 {
        self.run.taken() as u32
    }

    /// The state to the last bit, for `Engine::resume`.
    pub fn snapshot(&self) -> Float64Array {
        Float64Array::from(self.run.state())
    }
}

/// Where a [`Run`] stands.
#[wasm_bindgen(getter_with_clone)]
pub struct Step {
    /// Number of this step, from 1.
    pub index: u32,
    /// Number of steps in the run.
    pub of: u32,
    /// Time of the step: 1 is noise, 0 is the picture.
    pub t: f64,
    /// What the network takes the finished latents to be (x̂0).
    pub clean: Float32Array,
    /// The latents after the step (x_t).
    pub state: Float32Array,
}

impl Step {
    pub(crate) fn new(step: &pipeline::Step, run: &SampleRun, pipeline: &Pipeline) -> Self {
        let array = |latents: &[f32]| Float32Array::from(pipeline.tokenizer_units(latents).as_slice());
        Self {
            index: step.index as u32,
            of: step.of as u32,
            t: step.t,
            clean: array(&step.clean),
            state: array(&run.latents()),
        }
    }
}
