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

mod convert;

use std::cell::RefCell;

use js_sys::{Function, Uint8Array, Uint8ClampedArray};
use maetok::checkpoint::{Manifest, ModelFiles};
use maetok::device::{DeviceChoice, DeviceInfo, Past, open_again};
use maetok::pipeline::{Pipeline, SampleRun};
use maetok::{Device, Error, bench, image};
use wasm_bindgen::prelude::*;

use convert::{throw, to_rgb, to_rgba};

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
/// several for each dispatch. `web/test/unit/engine.test.ts` would notice.
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

/// A PNG file of a square or other RGBA picture `width` pixels wide; transparency is dropped.
///
/// # Errors
/// Code `picture` if the bytes are not whole rows of `width` RGBA pixels.
#[wasm_bindgen(js_name = encodePng)]
pub fn encode_png(rgba: &[u8], width: u32) -> Result<Uint8Array, JsValue> {
    let picture = to_rgb(rgba, width).map_err(throw)?;
    Ok(Uint8Array::from(image::encode_png(&picture).map_err(throw)?.as_slice()))
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

    /// Begins a picture. `request` is JSON: `{ class, seed, steps, guidance, interval, sampler }`; `class` is a name or a
    /// number, `seed` may be a string of digits (JavaScript's numbers end at 2^53), the rest may be left out.
    ///
    /// # Errors
    /// Code `setting` or `unknown-class`, with the values that would do.
    pub fn start(&self, request: &str) -> Result<Run, JsValue> {
        let pipeline = self.pipeline().map_err(throw)?;
        let request = convert::request(request, pipeline.manifest()).map_err(throw)?;
        let run = pipeline.start(request).map_err(throw)?;
        Ok(Run { run, last: None })
    }

    /// One step of the sampler, awaited to its end. `undefined` once all are done.
    ///
    /// # Errors
    /// Code `device` if the GPU fails on the way.
    pub async fn step(&self, run: &mut Run) -> Result<Option<Step>, JsValue> {
        let step = self.pipeline().map_err(throw)?.step(&mut run.run).await.map_err(throw)?;
        let answer = step.as_ref().map(|step| Step { index: step.index as u32, of: step.of as u32, t: step.t });
        run.last = step.or(run.last.take());
        Ok(answer)
    }

    /// What the last step takes the finished picture to be (x̂0), decoded: RGBA.
    ///
    /// # Errors
    /// Code `setting` before the first step, `device` if the GPU fails.
    pub async fn preview(&self, run: &Run) -> Result<Uint8ClampedArray, JsValue> {
        let step = run.last.as_ref().ok_or_else(|| {
            throw(Error::setting("preview", "of a run without a step", "asked for after the first step"))
        })?;
        let picture = self.pipeline().map_err(throw)?.preview(step).await.map_err(throw)?;
        Ok(to_rgba(&picture))
    }

    /// The picture of the run's present state, the finished one after the last step: RGBA.
    ///
    /// # Errors
    /// Code `device` if the GPU fails.
    pub async fn finish(&self, run: &Run) -> Result<Uint8ClampedArray, JsValue> {
        let picture = self.pipeline().map_err(throw)?.finish(&run.run).await.map_err(throw)?;
        Ok(to_rgba(&picture))
    }

    /// Encodes a picture file (PNG, JPEG, WebP) to latents and back.
    ///
    /// # Errors
    /// Code `picture` if the file is none or has a size that is not taken, `device` if the GPU fails.
    pub async fn reconstruct(&self, file: Vec<u8>) -> Result<Reconstruction, JsValue> {
        let pipeline = self.pipeline().map_err(throw)?;
        let picture = image::decode(&file).map_err(throw)?;
        let made = pipeline.reconstruct(&picture.rgb).await.map_err(throw)?;
        Ok(Reconstruction {
            original: to_rgba(&made.original),
            reconstruction: to_rgba(&made.reconstruction),
            width: made.original.width(),
            height: made.original.height(),
            psnr: made.psnr,
            ssim: made.ssim,
            numbers: made.latents.len() as u32,
            notices: picture.notices,
        })
    }
}

impl Engine {
    fn pipeline(&self) -> Result<&Pipeline, Error> {
        self.pipeline.as_ref().ok_or_else(|| Error::setting("model", "missing", "loaded first"))
    }
}

/// A picture on its way. Made by [`Engine::start`], ended by `free()`.
#[wasm_bindgen]
pub struct Run {
    run: SampleRun,
    last: Option<maetok::pipeline::Step>,
}

/// Where a [`Run`] stands.
#[wasm_bindgen]
pub struct Step {
    /// Number of this step, from 1.
    pub index: u32,
    /// Number of steps in the run.
    pub of: u32,
    /// Time of the step: 1 is noise, 0 is the picture.
    pub t: f64,
}

/// A picture before and after its way through the latent.
#[wasm_bindgen(getter_with_clone)]
pub struct Reconstruction {
    /// The picture as the model sees it: centre-cropped, RGBA.
    pub original: Uint8ClampedArray,
    /// The same picture from its latent, RGBA.
    pub reconstruction: Uint8ClampedArray,
    /// Width of both in pixels.
    pub width: u32,
    /// Height of both in pixels.
    pub height: u32,
    /// Peak signal-to-noise ratio in dB; infinite when equal.
    pub psnr: f64,
    /// Structural similarity, at most 1.
    pub ssim: f64,
    /// How many numbers the latent has.
    pub numbers: u32,
    /// What was done to the file to read it, one sentence each.
    pub notices: Vec<String>,
}
