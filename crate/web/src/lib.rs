//! The engine for JavaScript: `#[wasm_bindgen]` around [`maetok::pipeline`], nothing else.
//!
//! Runs in a module worker (`web/src/worker.ts`); knows neither the page nor its messages. Every call that may wait for
//! a GPU is async, and JavaScript keeps at most one of them running at a time: on the web nothing else limits how much
//! work piles up in the GPU's queue, and "stop" could stop nothing.
//!
//! A failure leaves as a JavaScript `Error` with a stable `code` beside its one-sentence `message`. A panic is a bug: it
//! traps, the instance is lost, and [`last_panic`] still tells what was said, so that the page can begin anew.
//!
//! Pictures cross as RGBA, the form a canvas takes; their side is [`Engine::image_size`] unless the answer says other.
//! Latents cross in the tokenizer's units, `[B, L, C]` row-major; what belongs to a run's inside crosses as it is.

mod convert;
mod files;
mod numbers;
mod run;

use std::cell::RefCell;

use js_sys::{Float32Array, Function, Uint8Array, Uint8ClampedArray};
use maetok::checkpoint::{Manifest, ModelFiles};
use maetok::device::{DeviceChoice, DeviceInfo, Past, open_again};
use maetok::image::Rounding;
use maetok::pipeline::Pipeline;
use maetok::{Device, Error, bench};
use wasm_bindgen::prelude::*;

use convert::{throw, to_rgb, to_rgba};
use run::{Run, Step};

thread_local! {
    /// What the first panic said; see [`last_panic`].
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs when the module is instantiated: panics are logged to the console and remembered.
#[wasm_bindgen(start)]
pub fn start() {
    construct();
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        // The first one is the cause; what follows in a broken instance is noise.
        PANIC.with_borrow_mut(|panic| {
            panic.get_or_insert_with(|| info.to_string());
        });
    }));
}

/// Runs the constructors of the libraries below, once. CubeCL has thousands. If the module never did, the linker would
/// take it for a command and put a call of all of them before every function that JavaScript calls, and there are
/// several for each dispatch. `web/test/unit/wasm.test.ts` would notice.
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the linker makes this function; it takes nothing, returns nothing, and may come twice")]
fn construct() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker's function of that signature; nothing else runs yet.
    unsafe { __wasm_call_ctors() }
}

/// Outside a browser constructors run before `main`.
#[cfg(not(target_family = "wasm"))]
fn construct() {}

/// What the engine said when it panicked; `undefined` if it did not.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    PANIC.with_borrow(Clone::clone)
}

/// A device and, once loaded, the model on it.
#[wasm_bindgen]
pub struct Engine {
    device: Device,
    info: DeviceInfo,
    pipeline: Option<Pipeline>,
}

#[wasm_bindgen]
impl Engine {
    /// Opens a device: `"webgpu"`, `"cpu"` or `"auto"`. Once per instance: a WebGPU runtime cannot be made twice. The
    /// caller has asked the adapter what it can do before
    /// (`web/src/diagnosis.ts`): Burn 0.22.1 panics on an adapter without `timestamp-query`.
    ///
    /// Its kernels are tested, unless `remembered` is the `self_test.text` that [`Engine::device`] gave when the same
    /// adapter was opened before. `refused` are kernels that the device refused since, `NAME: WHY`.
    ///
    /// # Errors
    /// Code `setting` for another word, `device` if the device does not open.
    pub async fn create(kind: &str, remembered: Option<String>, refused: Vec<String>) -> Result<Engine, JsValue> {
        let choice: DeviceChoice = kind.parse().map_err(throw)?;
        let recall = |_: &str| remembered.clone();
        let past = Past { recall: Some(&recall), refused: &refused };
        let (device, info) = open_again(choice, past).await.map_err(throw)?;
        Ok(Engine { device, info, pipeline: None })
    }

    /// The device as JSON: `{ kind, name, backend, software, reason, disabled_kernels, self_test }`.
    pub fn device(&self) -> String {
        serde_json::json!(self.info).to_string()
    }

    /// Lets the device compile what pictures of a model need: its `manifest.json`, and the `config.json` of tokenizer and
    /// generator. For as long as the weights are on their way.
    ///
    /// # Errors
    /// Codes `manifest`, `config`; `device` if the GPU fails.
    #[wasm_bindgen(js_name = warmUp)]
    pub async fn warm_up(&self, manifest: &str, configs: Vec<Uint8Array>) -> Result<(), JsValue> {
        let manifest = Manifest::parse(manifest.as_bytes()).map_err(throw)?;
        let configs: Vec<Vec<u8>> = configs.iter().map(Uint8Array::to_vec).collect();
        Pipeline::warm_up(&manifest, &configs, &self.device).await.map_err(throw)
    }

    /// Loads a model: its `manifest.json` and the files it names, `paths[i]` with the bytes `contents[i]`.
    /// Sizes and SHA-256 are checked here once more, whatever the caller has checked.
    ///
    /// # Errors
    /// Codes `manifest`, `checksum`, `weights`, `config`.
    pub fn load(&mut self, manifest: &str, paths: Vec<String>, contents: Vec<Uint8Array>) -> Result<(), JsValue> {
        let manifest = Manifest::parse(manifest.as_bytes()).map_err(throw)?;
        let files = paths.into_iter().zip(contents.iter().map(Uint8Array::to_vec));
        let files = ModelFiles::from_bytes(manifest, files).map_err(throw)?;
        self.pipeline = Some(Pipeline::load(&files, &self.device).map_err(throw)?);
        Ok(())
    }

    /// Side of the loaded model's pictures in pixels; 0 before [`Engine::load`].
    #[wasm_bindgen(getter, js_name = imageSize)]
    pub fn image_size(&self) -> u32 {
        self.pipeline.as_ref().map_or(0, |pipeline| pipeline.image_size() as u32)
    }

    /// Times the engine. `request` is JSON: `{ runs, at_least, route, model, roofs, layers }`, the last four optional;
    /// `clock` gives seconds. The answer is a JSON list of figures, see `maetok::bench::Figure`.
    ///
    /// # Errors
    /// Code `setting` for another request, `device` if the GPU fails.
    pub async fn bench(&self, request: &str, clock: Function) -> Result<String, JsValue> {
        let wrong = |e| Error::setting("request", e, "an object of runs, at_least, route, model, roofs and layers");
        let request = serde_json::from_str(request).map_err(|e| throw(wrong(e)))?;
        let clock = || clock.call0(&JsValue::NULL).ok().and_then(|now| now.as_f64()).unwrap_or(f64::NAN);
        let figures = bench::answer(&request, &self.device, self.pipeline.as_ref(), &clock).await.map_err(throw)?;
        Ok(serde_json::json!(figures).to_string())
    }

    /// Latent tokens of a picture, `L`; 0 before [`Engine::load`].
    #[wasm_bindgen(getter, js_name = latentTokens)]
    pub fn latent_tokens(&self) -> u32 {
        self.pipeline.as_ref().map_or(0, |pipeline| pipeline.latent_shape().0 as u32)
    }

    /// Numbers of a latent token, `C`; 0 before [`Engine::load`].
    #[wasm_bindgen(getter, js_name = latentChannels)]
    pub fn latent_channels(&self) -> u32 {
        self.pipeline.as_ref().map_or(0, |pipeline| pipeline.latent_shape().1 as u32)
    }

    /// Patches of a picture, `N`, a square of them; 0 before [`Engine::load`].
    #[wasm_bindgen(getter)]
    pub fn patches(&self) -> u32 {
        self.pipeline.as_ref().map_or(0, |pipeline| pipeline.patches() as u32)
    }

    /// Whether patches can be hidden from the loaded model's encoder.
    #[wasm_bindgen(getter, js_name = canHide)]
    pub fn can_hide(&self) -> bool {
        self.pipeline.as_ref().is_some_and(Pipeline::can_hide)
    }

    /// Begins pictures. `request` is JSON, one request or a list that differs in class and noise alone:
    /// `{ class, toward, seed, blend, steps, guidance, interval, sampler, start }`; `class` is a name or a number, `seed`
    /// may be a string of digits (JavaScript's numbers end at 2^53), the rest may be left out. `latents` of as many
    /// pictures are needed where `start` is before 1, and taken up to that time.
    ///
    /// # Errors
    /// Code `setting` or `unknown-class`, with the values that would do.
    pub fn start(&self, request: &str, latents: Option<Vec<f32>>) -> Result<Run, JsValue> {
        let pipeline = self.pipeline().map_err(throw)?;
        let requests = convert::requests(request, pipeline.manifest()).map_err(throw)?;
        let run = match latents {
            None => pipeline.start_batch(requests),
            Some(latents) => pipeline.start_from(requests, &latents),
        };
        Ok(Run::new(run.map_err(throw)?))
    }

    /// Goes on with pictures of which `taken` steps led to a [`Run::snapshot`].
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn resume(&self, request: &str, taken: u32, snapshot: Vec<f64>) -> Result<Run, JsValue> {
        let pipeline = self.pipeline().map_err(throw)?;
        let requests = convert::requests(request, pipeline.manifest()).map_err(throw)?;
        Ok(Run::new(pipeline.resume(requests, taken as usize, snapshot).map_err(throw)?))
    }

    /// One step of the sampler, awaited to its end. `undefined` once all are done.
    ///
    /// # Errors
    /// Code `device` if the GPU fails on the way.
    pub async fn step(&self, run: &mut Run) -> Result<Option<Step>, JsValue> {
        let pipeline = self.pipeline().map_err(throw)?;
        let step = pipeline.step(&mut run.run).await.map_err(throw)?;
        Ok(step.map(|step| Step::new(&step, &run.run, pipeline)))
    }

    /// Pictures of latents, one after the other: RGBA. `reconstructed` rounds as the official scoring of reconstructions
    /// does, otherwise as its sampling does.
    ///
    /// # Errors
    /// Code `setting` if these are not whole latents, `device` if the GPU fails.
    pub async fn decode(&self, latents: Vec<f32>, reconstructed: bool) -> Result<Uint8ClampedArray, JsValue> {
        let rounding = if reconstructed { Rounding::Reconstructed } else { Rounding::Generated };
        let pictures = self.pipeline().map_err(throw)?.decode_many(&latents, rounding).await.map_err(throw)?;
        Ok(to_rgba(&pictures))
    }

    /// The latent of a picture, RGBA, `width` pixels wide. `hidden` has a number for each patch, row by row; the encoder
    /// does not see those that are not 0.
    ///
    /// # Errors
    /// Code `picture` if these are not whole rows, `setting` for a wrong number of patches or a model that was trained
    /// without a mask, `device` if the GPU fails.
    pub async fn encode(&self, rgba: Vec<u8>, width: u32, hidden: Option<Vec<u8>>) -> Result<Float32Array, JsValue> {
        let pipeline = self.pipeline().map_err(throw)?;
        let picture = to_rgb(&rgba, width).map_err(throw)?;
        let latents = match hidden {
            None => pipeline.encode(&picture).await,
            Some(hidden) => {
                let flags: Vec<bool> = hidden.iter().map(|flag| *flag != 0).collect();
                pipeline.encode_hiding(&picture, &flags).await
            }
        };
        Ok(Float32Array::from(latents.map_err(throw)?.as_slice()))
    }
}

impl Engine {
    fn pipeline(&self) -> Result<&Pipeline, Error> {
        self.pipeline.as_ref().ok_or_else(|| Error::setting("model", "missing", "loaded first"))
    }
}
