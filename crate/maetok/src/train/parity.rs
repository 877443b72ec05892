//! Targets, losses, schedule and optimiser against the numbers of the official code.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor, TensorData};
use maetok_tests::{Fixture, TestDevice, Tolerance, assert_close, devices};
use safetensors::SafeTensors;
use serde_json::Value;

use super::ema::Ema;
use super::hog;
use super::losses::{Times, label_or_null, velocity};
use super::optimiser::{AdamW, clip_by_global_norm, with_stable_ids};
use super::schedule::Schedule;
use crate::checkpoint::{self, Storage};
use crate::diffusion::{PathType, Sit, SitConfig};

/// Share of HOG values that may differ because a pixel's angle lies within rounding of a bin's edge; such a pixel
/// moves its weight to the next bin and through the normalisation changes the nine values of its cell.
const HOG_OUTLIERS: f64 = 0.01;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number in the manifest, not {value}"))
}

/// Compares all values but the few at bin edges, which are counted.
pub(super) fn check_hog(fixture: &Fixture, on: &TestDevice, name: &str, got: TensorData) {
    let got: Vec<f32> = got.try_to_vec().expect("f32");
    let (_, want) = fixture.f32(name);
    assert_eq!(got.len(), want.len(), "{name}");
    let Tolerance { abs, rel, .. } = Tolerance::SINGLE_MODULE;
    let off = |got: f32, want: f32| (got - want).abs() > abs + rel * want.abs();
    let outliers = got.iter().zip(&want).filter(|(got, want)| off(**got, **want)).count();
    let share = outliers as f64 / want.len() as f64;
    assert!(share <= HOG_OUTLIERS, "{name}: {outliers} of {} values differ", want.len());
    let kept = || got.iter().zip(&want).filter(|(got, want)| !off(**got, **want));
    let (got, want): (Vec<f32>, Vec<f32>) = kept().map(|(got, want)| (*got, *want)).unzip();
    assert_close(
        fixture.name(),
        &format!("{name} (without {outliers} values at bin edges)"),
        &on.label,
        &got,
        &want,
        Tolerance::SINGLE_MODULE,
    );
}

#[test]
fn parity_hog() {
    let fixture = Fixture::open("hog.safetensors");
    for on in devices() {
        fixture.assert_close("gaussian_kernel", &on, &hog::window()[..], Tolerance::SINGLE_MODULE);
        let [x, y] = hog::kernels(&on.device);
        fixture.assert_close("weight_x", &on, &x.repeat(3), Tolerance::EXACT);
        fixture.assert_close("weight_y", &on, &y.repeat(3), Tolerance::EXACT);
        let mut seen: BTreeSet<String> = ["gaussian_kernel", "weight_x", "weight_y"].map(str::to_owned).into();
        for name in fixture.names() {
            let Some(suffix) = name.strip_prefix("img") else { continue };
            let images = fixture.tensor::<4>(&name, &on.device);
            let [_, _, size, _] = images.dims();
            let cells = format!("cells{suffix}");
            check_hog(&fixture, &on, &cells, hog::cells(images.clone()).into_data());
            let features = format!("feat{suffix}");
            if fixture.has(&features) {
                // The official code cuts every picture into 16 × 16 patches.
                check_hog(&fixture, &on, &features, hog::targets(images, size / 16).into_data());
                seen.insert(features);
            }
            seen.extend([name, cells]);
        }
        let unchecked: Vec<String> = fixture.names().into_iter().filter(|name| !seen.contains(name)).collect();
        assert!(unchecked.is_empty(), "nothing was compared with {unchecked:?}");
    }
}

#[test]
fn parity_learning_rate() {
    let fixture = Fixture::open("misc.safetensors");
    let about = &fixture.entry()["lr"];
    let per_epoch = number(&about["updates_per_epoch"]) as u64;
    let schedule = Schedule {
        peak: number(&about["base"]),
        floor: number(&about["min_lr"]),
        start: 1e-5,
        warmup: number(&about["warmup_epochs"]) as u64 * per_epoch,
    };
    let total = number(&about["epochs"]) as u64 * per_epoch;
    let count = fixture.f32("lr.values").1.len() as u64;
    let got: Vec<f32> = (0..count).map(|step| schedule.at_step(step, total) as f32).collect();
    let host = TestDevice { label: "host".into(), ..maetok_tests::cpu() };
    // Rates are 1e-5 to 2e-4: the usual absolute allowance would let anything pass.
    fixture.assert_close("lr.values", &host, &got, Tolerance { abs: 0.0, rel: 1e-6, of_max: 0.0 });
}

#[derive(Module, Debug)]
struct Pair {
    w: Param<Tensor<2>>,
    b: Param<Tensor<1>>,
}

/// Whether the file's `w0` and `b0` are the values after the last step: they were stored without a copy and then
/// changed in place.
fn aliased(fixture: &Fixture) -> bool {
    let last = (0..).take_while(|step| fixture.has(&format!("opt.w{step}"))).last().expect("at least one step");
    fixture.f32("opt.w0").1 == fixture.f32(&format!("opt.w{last}")).1
}

/// The parameters before the first step. Where the file lost them, they follow from the first average and, for the
/// vector, from Adam's first step, which is the learning rate against the gradient's sign.
fn start(fixture: &Fixture, about: &Value) -> (TensorData, TensorData) {
    let [(w_shape, mut w), (b_shape, mut b)] = ["opt.w0", "opt.b0"].map(|name| fixture.f32(name));
    if aliased(fixture) {
        let (decay, rate) = (number(&about["ema"]), number(&about["lr"]));
        let after = |name: &str| fixture.f32(name).1.into_iter().map(f64::from);
        w = after("opt.ema1").zip(after("opt.w1")).map(|(ema, w)| ((ema - (1.0 - decay) * w) / decay) as f32).collect();
        b = after("opt.b1").zip(after("opt.gb0")).map(|(b, grad)| (b + rate * grad.signum()) as f32).collect();
    }
    (TensorData::new(w, w_shape), TensorData::new(b, b_shape))
}

#[test]
fn parity_clip_adamw_and_average() {
    let fixture = Fixture::open("misc.safetensors");
    let about = &fixture.entry()["optimiser"];
    assert_eq!(number(&about["weight_decay"]["b"]), 0.0, "vectors are not decayed here");
    for on in devices() {
        let device = on.device.clone().autodiff();
        let (w, b) = start(&fixture, about);
        let mut pair = with_stable_ids(Pair {
            w: Param::from_tensor(Tensor::from_data(w, &device)),
            b: Param::from_tensor(Tensor::from_data(b, &device)),
        });
        let adamw = AdamW {
            beta_1: number(&about["betas"][0]) as f32,
            beta_2: number(&about["betas"][1]) as f32,
            epsilon: number(&about["eps"]) as f32,
            weight_decay: number(&about["weight_decay"]["w"]) as f32,
            muon: None,
        };
        let mut optimiser = adamw.init();
        let mut ema = Ema::new(&pair);
        for step in 0.. {
            let name = |what: &str, step: usize| format!("opt.{what}{step}");
            if !fixture.has(&name("gw", step)) {
                assert!(step > 1, "several steps");
                if aliased(&fixture) {
                    fixture.assert_close("opt.w0", &on, pair.w.val().inner(), Tolerance::SINGLE_MODULE);
                    fixture.assert_close("opt.b0", &on, pair.b.val().inner(), Tolerance::SINGLE_MODULE);
                }
                break;
            }
            let mut grads = GradientsParams::new();
            grads.register(pair.w.id, fixture.tensor::<2>(&name("gw", step), &on.device));
            grads.register(pair.b.id, fixture.tensor::<1>(&name("gb", step), &on.device));
            let (grads, norm) = clip_by_global_norm(grads, &pair, number(&about["clip"]));
            fixture.assert_close(&name("norm", step), &on, &vec![norm as f32], Tolerance::SINGLE_MODULE);
            pair = optimiser.step(number(&about["lr"]), pair, grads);
            ema.update(&pair, number(&about["ema"]));
            fixture.assert_close(&name("w", step + 1), &on, pair.w.val().inner(), Tolerance::SINGLE_MODULE);
            if fixture.has(&name("b", step + 1)) {
                fixture.assert_close(&name("b", step + 1), &on, pair.b.val().inner(), Tolerance::SINGLE_MODULE);
            }
            fixture.assert_close(&name("ema", step + 1), &on, ema.module().w.val(), Tolerance::SINGLE_MODULE);
        }
    }
}

/// Puts gradients where the parameters were, so that they can be written under the official keys.
struct Substitute<'a>(&'a GradientsParams);

impl ModuleMapper for Substitute<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get::<D>(param.id) {
            Some(grad) => Param::initialized(param.id, grad),
            None => param,
        }
    }
}

/// Counts the parameters that have a gradient.
struct WithGradient<'a>(&'a GradientsParams, usize);

impl ModuleVisitor for WithGradient<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1 += usize::from(self.0.get::<D>(param.id).is_some());
    }
}

fn sit(fixture: &Fixture, on: &TestDevice) -> (Sit, SitConfig) {
    let entry = fixture.entry();
    let size = |name: &str| number(&entry["config"][name]) as usize;
    let config = SitConfig {
        tokens: size("tokens"),
        channels: size("channels"),
        width: size("width"),
        depth: size("depth"),
        heads: size("heads"),
        classes: size("classes"),
        ..SitConfig::xl()
    };
    let weights = Fixture::open(entry["weights"].as_str().expect("the weights file in the manifest"));
    let fresh = with_stable_ids(config.init(&on.device.clone().autodiff()).unwrap());
    (checkpoint::load(fresh, &[weights.bytes()]).unwrap().0, config)
}

#[test]
fn parity_velocity_loss_and_its_gradients() {
    let fixture = Fixture::open("sit_loss.safetensors");
    let entry = fixture.entry();
    let runs = entry["runs"].as_object().expect("runs in the manifest");
    for on in devices() {
        let (sit, config) = sit(&fixture, &on);
        let device = on.device.clone().autodiff();
        for (run, about) in runs {
            let name = |what: &str| format!("{run}.{what}");
            let path: PathType = serde_json::from_value(about["path"].clone()).unwrap();
            let times: Times = serde_json::from_value(about["weighting"].clone()).unwrap();
            let draws = fixture.f32(&name("time_draw")).1;
            let t: Vec<f64> = draws.iter().map(|draw| times.from_draw(path, f64::from(*draw))).collect();
            let shown: Vec<f32> = t.iter().map(|t| *t as f32).collect();
            fixture.assert_close(&name("time"), &on, &shown, Tolerance::SINGLE_MODULE);

            let probability = number(&entry["label_dropout"]);
            let kept = fixture.i64("y").1;
            let label_draws = fixture.f32(&name("label_draw")).1;
            let labels: Vec<i64> = kept
                .iter()
                .zip(label_draws)
                .map(|(label, draw)| label_or_null(*label as usize, config.classes, f64::from(draw), probability))
                .collect();
            let dropped: Vec<bool> = labels.iter().map(|label| *label == config.classes as i64).collect();
            assert_eq!(dropped, fixture.flags(&name("label_dropped")).1, "dropped labels of {run}");

            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [kept.len()]), &device);
            let (x, noise) = (fixture.tensor::<3>("x", &device), fixture.tensor::<3>(&name("noise"), &device));
            let losses = velocity(|x, t, y| sit.forward(x, t, y), path, x, noise, &t, labels).velocity;
            fixture.assert_close(&name("loss"), &on, losses.clone().inner(), Tolerance::WHOLE_MODEL);

            let grads = GradientsParams::from_grads(losses.mean().backward(), &sit);
            let (grads, norm) = clip_by_global_norm(grads, &sit, f64::INFINITY);
            let want = number(&about["grad_norm"]) as f32;
            assert_close(
                fixture.name(),
                &name("grad_norm"),
                &on.label,
                &[norm as f32],
                &[want],
                Tolerance::WHOLE_MODEL,
            );
            if entry["grads_of"].as_str() == Some(run.as_str()) {
                check_gradients(&fixture, &on, &sit, &grads);
            }
        }
    }
}

fn check_gradients(fixture: &Fixture, on: &TestDevice, sit: &Sit, grads: &GradientsParams) {
    let mut counted = WithGradient(grads, 0);
    sit.visit(&mut counted);
    let named: Vec<String> = fixture.names().into_iter().filter(|name| name.starts_with("grad.")).collect();
    // The copy under `tests/fixtures` leaves out the largest tensors; the whole set names all but the label table.
    assert!(!named.is_empty() && counted.1 > named.len(), "{} parameters have a gradient", counted.1);

    let bytes = checkpoint::save(&sit.clone().map(&mut Substitute(grads)), Storage::F32, &Default::default()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |key: &str| -> Vec<f32> {
        let view = file.tensor(key).unwrap_or_else(|_| panic!("no parameter {key}"));
        view.data().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    for name in named {
        fixture.assert_close(&name, on, &values(&name["grad.".len()..]), Tolerance::WHOLE_MODEL);
    }
    let table = values("y_embedder.embedding_table.weight");
    let rows = fixture.i64("grad_rows.index").1;
    let (shape, _) = fixture.f32("grad_rows.embedding_table");
    let width = shape[1];
    let row = |at: usize| &table[at * width..(at + 1) * width];
    let touched: Vec<f32> = rows.iter().flat_map(|at| row(*at as usize)).copied().collect();
    fixture.assert_close("grad_rows.embedding_table", on, &touched, Tolerance::WHOLE_MODEL);
    let elsewhere = (0..table.len() / width).filter(|at| !rows.contains(&(*at as i64)));
    assert!(elsewhere.flat_map(row).all(|value| *value == 0.0), "gradients of classes that were not drawn");
}
