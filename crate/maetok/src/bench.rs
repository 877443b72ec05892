//! How fast is it here? The stopwatch behind `maetok bench` and the page of benchmarks.
//!
//! A figure is a list of times of the same work, each to the moment when its result was read back. Work that is shorter
//! than a clock can tell is repeated within each time. Nothing here says what is fast: a speed is a ratio to something
//! measured in the same run.

use std::cell::Cell;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor, s};
use serde::{Deserialize, Serialize};

use crate::kernels::{self, Activation, Residual, Route, launches, prefer, probe, within};
use crate::pipeline::{Pipeline, SampleRequest};
use crate::{Error, Result};

/// Times of one piece of work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Which work.
    pub name: String,
    /// Seconds of one repetition, in the order of the runs.
    pub seconds: Vec<f64>,
    /// Floating-point operations of one repetition; 0 where nobody counted.
    pub flop: u64,
    /// Bytes read and written by one repetition; 0 where nobody counted.
    pub bytes: u64,
    /// Dispatches of our kernels in one repetition.
    pub dispatches: u64,
}

impl Figure {
    /// The middle one of the times.
    ///
    /// # Panics
    /// If there are none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// How to measure.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Plan {
    /// Times of each work, after one that does not count.
    pub runs: usize,
    /// Least length of a time in seconds: some browsers' clocks move in steps of a tenth.
    pub at_least: f64,
}

impl Plan {
    /// Refuses a plan that measures nothing.
    ///
    /// # Errors
    /// [`Error::Setting`]
    pub fn check(&self) -> Result<()> {
        match self.runs {
            0 => Err(Error::setting("runs", 0, "a number from 1")),
            _ => Ok(()),
        }
    }
}

/// What to measure, as a page asks for it.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// Which kernels.
    #[serde(default)]
    pub route: Route,
    /// How.
    #[serde(flatten)]
    pub plan: Plan,
    /// Encoding, decoding, a step and a picture of the loaded model.
    #[serde(default)]
    pub model: bool,
    /// The adapter's roofs.
    #[serde(default)]
    pub roofs: bool,
    /// Linear layers.
    #[serde(default)]
    pub layers: Vec<Layer>,
}

/// Measures everything that `request` names.
///
/// # Errors
/// [`Error::Setting`] for a request without runs, or for the model where none is loaded; if the device fails.
pub async fn answer(
    request: &Request,
    device: &Device,
    pipeline: Option<&Pipeline>,
    clock: &impl Fn() -> f64,
) -> Result<Vec<Figure>> {
    request.plan.check()?;
    let _preferred = prefer(request.route);
    let mut figures = Vec::new();
    if request.roofs {
        figures.extend(roofs(device, request.plan, clock).await?);
    }
    for size in &request.layers {
        figures.push(layer(device, *size, request.route, request.plan, clock).await?);
    }
    if request.model {
        let pipeline = pipeline.ok_or_else(|| Error::setting("model", true, "asked for once a model is loaded"))?;
        figures.extend(model(pipeline, request.plan, clock).await?);
    }
    Ok(figures)
}

/// Work of so many seconds is not tried twice before it is timed.
const LONG: f64 = 5.0;
/// A picture that takes longer than so many seconds is left out: its steps tell as much.
const PATIENCE: f64 = 60.0;

/// Times `work`, which returns when its result is there. `clock` gives seconds.
///
/// # Errors
/// Those of `work`.
pub async fn time(
    name: &str,
    plan: Plan,
    clock: &impl Fn() -> f64,
    mut work: impl AsyncFnMut() -> Result<()>,
) -> Result<Figure> {
    let mut start = clock();
    work().await?;
    // The first time may have compiled kernels; where that cannot matter nobody should wait for a second.
    if clock() - start < LONG {
        start = clock();
        work().await?;
    }
    let once = clock() - start;
    let repeats = if once > 0.0 { (plan.at_least / once).ceil().clamp(1.0, 10_000.0) } else { 1000.0 };
    let mut seconds = Vec::with_capacity(plan.runs);
    let mut dispatches = 0;
    for _ in 0..plan.runs {
        let (before, start) = (launches(), clock());
        for _ in 0..repeats as usize {
            work().await?;
        }
        seconds.push((clock() - start) / repeats);
        // Of the last run: what happens once, as unpacking weights does, is over.
        dispatches = (launches() - before) / repeats as u64;
    }
    Ok(Figure { name: name.to_owned(), seconds, flop: 0, bytes: 0, dispatches })
}

/// [`time`] of work that only has to be queued: all repetitions of a time are queued before the last result is waited
/// for. Some browsers look after the GPU ten times a second; waiting for each would measure that.
///
/// # Errors
/// If the device fails.
async fn time_queued(
    name: &str,
    plan: Plan,
    clock: &impl Fn() -> f64,
    mut queue: impl FnMut() -> Tensor<1>,
) -> Result<Figure> {
    let mut all = async |repeats: u32| -> Result<f64> {
        let start = clock();
        for _ in 1..repeats {
            drop(queue());
        }
        done(queue()).await?;
        Ok(clock() - start)
    };
    all(1).await?;
    let before = launches();
    let mut took = all(1).await?;
    let dispatches = launches() - before;
    // Waiting itself takes time: twice as many until the times are long enough.
    let mut repeats = 1;
    while took < plan.at_least && repeats < 1 << 14 {
        repeats *= 2;
        took = all(repeats).await?;
    }
    let mut seconds = Vec::with_capacity(plan.runs);
    for _ in 0..plan.runs {
        seconds.push(all(repeats).await? / f64::from(repeats));
    }
    Ok(Figure { name: name.to_owned(), seconds, flop: 0, bytes: 0, dispatches })
}

/// One step and its picture: all that a first picture needs, kernels compiled on the way.
///
/// # Errors
/// If the model has no generator, or the device fails.
pub async fn first_picture(pipeline: &Pipeline) -> Result<()> {
    let request = SampleRequest { steps: 1, ..SampleRequest::default() };
    pipeline.sample(request, |_| ()).await.map(drop)
}

/// Encoding, decoding, one guided step, and, unless it would take minutes, a whole picture of 25 steps.
///
/// # Errors
/// If the device fails.
pub async fn model(pipeline: &Pipeline, plan: Plan, clock: &impl Fn() -> f64) -> Result<Vec<Figure>> {
    let side = pipeline.image_size() as u32;
    let picture =
        image::RgbImage::from_fn(side, side, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8]));
    let latents = pipeline.encode(&picture).await?;
    let mut figures = vec![
        time("encode", plan, clock, async || pipeline.encode(&picture).await.map(drop)).await?,
        time("decode", plan, clock, async || pipeline.decode(&latents).await.map(drop)).await?,
    ];
    if pipeline.has_generator() {
        // Long enough that no measurement of a step comes to its end; the modulations of its first steps come before.
        let mut run = pipeline.start(SampleRequest { steps: 1000, ..SampleRequest::default() })?;
        let step = async || {
            if pipeline.step(&mut run).await?.is_none() {
                run = pipeline.start(run.requests()[0].clone())?;
            }
            Ok(())
        };
        let step = time("step", plan, clock, step).await?;
        let picture_takes = step.median() * SampleRequest::default().steps as f64;
        figures.push(step);
        if picture_takes > PATIENCE {
            return Ok(figures);
        }
        let request = SampleRequest::default();
        let picture = async || pipeline.sample(request.clone(), |_| ()).await.map(drop);
        figures.push(time("picture of 25 steps", Plan { at_least: 0.0, ..plan }, clock, picture).await?);
    }
    Ok(figures)
}

/// Rows, columns in and columns out of a linear layer.
pub type Layer = (usize, usize, usize);

/// Most numbers in one matrix of a [`Layer`]: half a GiB.
const MOST_NUMBERS: usize = 1 << 27;

/// A linear layer with bias, by `route`.
///
/// # Errors
/// [`Error::Setting`] for sizes that no layer has; if the device fails.
pub async fn layer(
    device: &Device,
    (m, k, n): Layer,
    route: Route,
    plan: Plan,
    clock: &impl Fn() -> f64,
) -> Result<Figure> {
    let small = |a: usize, b: usize| a.checked_mul(b).is_some_and(|numbers| (1..=MOST_NUMBERS).contains(&numbers));
    if ![(m, k), (k, n), (m, n)].into_iter().all(|(a, b)| small(a, b)) {
        let want = format!("three sizes from 1, any two with a product of at most {MOST_NUMBERS}");
        return Err(Error::setting("layer", format!("{m}x{k}x{n}"), want));
    }
    let random = |shape| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let (x, w) = (random([m, k]), random([k, n]));
    let bias = Tensor::<1>::zeros([n], device);
    let by_kernel = Cell::new(false);
    let once = || {
        within(route, || {
            let y = kernels::linear(&x, (&w).into(), Some(&bias), Activation::Identity, Residual::None);
            by_kernel.set(y.is_some());
            y.unwrap_or_else(|| x.clone().matmul(w.clone()) + bias.clone().unsqueeze())
        })
    };
    let figure = time_queued("", plan, clock, || once().slice([0..1, 0..1]).flatten(0, 1)).await?;
    // What no kernel did should not stand under a kernel's name.
    let by = match (by_kernel.get(), figure.dispatches) {
        (false, _) => "plain ops".to_owned(),
        (true, 0) => "loops on the CPU".to_owned(),
        (true, _) => format!("{route:?}"),
    };
    let name = format!("linear {m} x {k} x {n}, {by}");
    let (flop, bytes) = (2 * (m * k) as u64 * n as u64, 4 * (m * k + k * n + m * n) as u64);
    Ok(Figure { name, flop, bytes, ..figure })
}

/// The adapter's roofs: multiply-adds, one by one and as matrices times vectors, and a copy of 32 MiB. Empty where no
/// kernel runs.
///
/// # Errors
/// If the device fails.
pub async fn roofs(device: &Device, plan: Plan, clock: &impl Fn() -> f64) -> Result<Vec<Figure>> {
    const LANES: u32 = 1 << 14;
    const NUMBERS: usize = 1 << 23;
    let x = Tensor::<1>::zeros([NUMBERS], device);
    let mut figures = Vec::new();
    for (name, matrix) in [("multiply-adds", false), ("multiply-adds, as matrices times vectors", true)] {
        let adds = |rounds| probe::multiply_adds(&x, LANES, rounds, matrix);
        let Some((first, _)) = adds(64) else { return Ok(Vec::new()) };
        done(first).await?;
        // Long enough to time, short enough for the watchdog of a slow adapter.
        let mut rounds = 64;
        loop {
            let start = clock();
            done(adds(rounds).expect("it ran before").0).await?;
            if clock() - start > 0.05 || rounds >= 1 << 16 {
                break;
            }
            rounds *= 4;
        }
        let (_, flop) = adds(rounds).expect("it ran before");
        let figure = time_queued(name, plan, clock, || adds(rounds).expect("it ran before").0).await?;
        figures.push(Figure { flop, ..figure });
    }
    let copy = time_queued("copy", plan, clock, || probe::copied(&x).expect("kernels run here")).await?;
    figures.push(Figure { bytes: 2 * 4 * NUMBERS as u64, ..copy });
    Ok(figures)
}

/// The module with every parameter drawn anew, normal with std 0.02: what starts at zero would hide what it does.
pub fn randomised<M: Module>(module: M) -> M {
    struct Draw;
    impl ModuleMapper for Draw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|old| Tensor::random(old.dims(), Distribution::Normal(0.0, 0.02), &old.device()))
        }
    }
    module.map(&mut Draw)
}

/// Waits until `result` has been computed. Its first number has to be looked at: what a read gives is fetched no sooner.
async fn done(result: Tensor<1>) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| Error::Device { reason: e.to_string() };
    let one = result.slice(s![0..1]).into_data_async().await.map_err(|e| failed(&e))?;
    one.try_to_vec::<f32>().map(drop).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const QUICK: Plan = Plan { runs: 3, at_least: 0.0 };

    #[test]
    fn the_median_is_the_middle_time() {
        let seconds = vec![0.9, 0.1, 0.5];
        let figure = Figure { name: String::new(), seconds, flop: 0, bytes: 0, dispatches: 0 };
        assert_eq!(figure.median(), 0.5);
    }

    #[test]
    fn short_work_is_repeated_until_the_clock_can_tell() {
        let mut calls = 0;
        let now = std::cell::Cell::new(0.0);
        let clock = || now.get();
        let work = async || {
            calls += 1;
            now.set(now.get() + 0.25);
            Ok(())
        };
        let plan = Plan { runs: 2, at_least: 1.0 };
        let figure = pollster::block_on(time("work", plan, &clock, work)).unwrap();
        assert_eq!((figure.seconds, calls), (vec![0.25, 0.25], 2 + 2 * 4));
    }

    #[test]
    fn a_layer_is_timed_on_every_device_and_roofs_where_kernels_run() {
        let start = Instant::now();
        let clock = || start.elapsed().as_secs_f64();
        for on in maetok_tests::devices() {
            let gpu = on.label != "cpu";
            let figure = pollster::block_on(layer(&on.device, (8, 16, 12), Route::Registers, QUICK, &clock)).unwrap();
            let by = if gpu { "Registers" } else { "loops on the CPU" };
            assert_eq!(
                (figure.name.as_str(), figure.flop),
                (format!("linear 8 x 16 x 12, {by}").as_str(), 2 * 8 * 16 * 12)
            );
            assert!(figure.median() > 0.0 && figure.dispatches == u64::from(gpu), "{figure:?} on {}", on.label);
            let plain = pollster::block_on(layer(&on.device, (8, 16, 12), Route::Plain, QUICK, &clock)).unwrap();
            assert_eq!(plain.name, "linear 8 x 16 x 12, plain ops");
            for sizes in [(0, 4, 4), (4, 0, 4), (usize::MAX, 4, 4), (1 << 20, 1 << 20, 4)] {
                let refused = pollster::block_on(layer(&on.device, sizes, Route::Registers, QUICK, &clock));
                assert!(matches!(refused, Err(Error::Setting { .. })), "{sizes:?} on {}", on.label);
            }
        }
    }
}
