//! The tokenizer against numbers of the official code: every stage of three small models, and two at full size.

use std::collections::BTreeSet;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use maetok_tests::{
    Fixture, HashScales, Key, TestDevice, Tolerance, assert_close, cpu, devices, hash_uniform, keys, manifest,
    reference,
};
use serde_json::{Value, json};

use super::masking::masked_count;
use super::{Tokenizer, TokenizerConfig};
use crate::checkpoint;
use crate::kernels::{self, Route};
use crate::nn::Probe as _;
use crate::nn::probe::Recorder;

/// The configuration of a reference file: official flat fields, and the small sizes that have no official name.
pub(crate) fn config(acts: &Fixture) -> TokenizerConfig {
    let mut flat = acts.entry()["config"].clone();
    let tiny = flat["tiny"].clone();
    for (side, short) in [("encoder", "enc"), ("decoder", "dec")] {
        let size = |what: &str| tiny[format!("{short}_{what}")].clone();
        flat[format!("{side}_size")] = json!({"width": size("width"), "depth": size("depth"), "heads": size("heads")});
    }
    flat["kl"] = json!(acts.has("logvar"));
    TokenizerConfig::from_json(flat.to_string().as_bytes()).expect("the reference's configuration")
}

fn load(name: &str, config: &TokenizerConfig, device: &Device) -> Tokenizer {
    let weights = Fixture::open(&format!("{name}.weights.safetensors"));
    checkpoint::load(config.init(device).unwrap(), &[weights.bytes()]).unwrap().0
}

/// Compares what the probe saw with the tensors of those names; returns the names compared.
fn check_stages(acts: &Fixture, on: &TestDevice, recorder: &Recorder, prefix: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (name, values) in &recorder.stages {
        let name = format!("{prefix}{name}");
        if acts.has(&name) {
            acts.assert_close(&name, on, values, Tolerance::WHOLE_MODEL);
            seen.insert(name);
        }
    }
    seen
}

fn check_all_stages(name: &str, on: &TestDevice) {
    let acts = Fixture::open(&format!("{name}.acts.safetensors"));
    let config = config(&acts);
    let tokenizer = load(name, &config, &on.device);
    let image = acts.tensor::<4>("in.image", &on.device);

    let mut recorder = Recorder::default();
    let z = tokenizer.encode_probed(image.clone(), None, &mut recorder);
    let recon = tokenizer.decode_probed(z.clone(), &mut recorder);
    let mut seen = check_stages(&acts, on, &recorder, "");
    acts.assert_close("recon", on, &recon, Tolerance::WHOLE_MODEL);
    // With nobody looking, steps are joined, and on a GPU they are kernels.
    for route in [Route::Plain, Route::Registers, Route::Tiles] {
        let (z, recon) = kernels::within(route, || {
            let z = tokenizer.encode(image.clone(), None);
            (z.clone(), tokenizer.decode(z))
        });
        acts.assert_close("z", on, &z, Tolerance::WHOLE_MODEL);
        acts.assert_close("recon", on, &recon, Tolerance::WHOLE_MODEL);
    }
    seen.extend(["in.image", "recon"].map(str::to_owned));

    let stage = |name: &str| &recorder.stages.iter().find(|(n, _)| n == name).expect(name).1;
    let last = format!("dec.block{}.out", config.decoder.depth - 1);
    let x = Tensor::<3>::from_data(stage(&last).clone(), &on.device);
    let norm = tokenizer.decoder.final_norm(x, z);
    acts.assert_close("dec.norm", on, &norm, Tolerance::WHOLE_MODEL);
    seen.insert("dec.norm".to_owned());

    seen.extend(check_rope_coordinates(&acts, on, &recorder));
    seen.extend(check_decode_only(&acts, on, &tokenizer));
    seen.extend(check_masked(&acts, on, &tokenizer, &image));
    let unchecked: Vec<String> = acts.names().into_iter().filter(|n| !seen.contains(n)).collect();
    assert!(unchecked.is_empty(), "{name} has tensors that nothing was compared with: {unchecked:?}");
}

/// Tables of single blocks and the integer coordinates behind them.
fn check_rope_coordinates(acts: &Fixture, on: &TestDevice, recorder: &Recorder) -> Vec<String> {
    let names = acts.names().into_iter().filter(|n| n.contains("rope"));
    let mut seen = Vec::new();
    for name in names {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            [side, "rope_all", axis @ ("t_x" | "t_y")] => {
                let (shape, _) = acts.f32(&name);
                let side_length = shape[0].isqrt();
                let coordinate = |n: usize| if axis == "t_x" { n % side_length } else { n / side_length };
                let got: Vec<f32> = (0..shape[0]).map(|n| coordinate(n) as f32).collect();
                assert!(["enc", "dec"].contains(&side));
                acts.assert_close(&name, on, &got, Tolerance::EXACT);
                seen.push(name);
            }
            [side, block, "rope", function @ ("cos" | "sin")] => {
                let index: usize = block["block".len()..].parse().expect("block number");
                let all = format!("{side}.rope_all.{function}");
                let table = &recorder.stages.iter().find(|(n, _)| *n == all).expect("rope table").1;
                let values: Vec<f32> = table.try_to_vec().unwrap();
                let count = acts.shape(&name).iter().product::<usize>();
                acts.assert_close(&name, on, &values[index * count..][..count], Tolerance::SINGLE_MODULE);
                seen.push(name);
            }
            _ => {}
        }
    }
    seen
}

fn check_decode_only(acts: &Fixture, on: &TestDevice, tokenizer: &Tokenizer) -> Vec<String> {
    if !acts.has("decode_only.in_z") {
        return Vec::new();
    }
    let image = tokenizer.decode(acts.tensor::<3>("decode_only.in_z", &on.device));
    acts.assert_close("decode_only.image", on, &image, Tolerance::WHOLE_MODEL);
    vec!["decode_only.in_z".to_owned(), "decode_only.image".to_owned()]
}

/// Training forwards with recorded orders: the first `masked_count` entries of each are hidden.
fn check_masked(acts: &Fixture, on: &TestDevice, tokenizer: &Tokenizer, image: &Tensor<4>) -> Vec<String> {
    let empty = Vec::new();
    let rates = acts.entry()["mask_rates"].as_array().unwrap_or(&empty);
    let mut seen = Vec::new();
    for (j, rate) in rates.iter().enumerate() {
        let name = |what: &str| format!("masked{j}.{what}");
        let (shape, orders) = acts.i64(&name("orders"));
        let [pictures, patches] = shape[..] else { panic!("orders are {shape:?}") };
        let count = masked_count(patches, rate.as_f64().unwrap());
        assert_eq!(Value::from(count), acts.entry()["masked_count"][j]);
        let mut hidden = vec![false; pictures * patches];
        for (picture, order) in orders.chunks(patches).enumerate() {
            for patch in &order[..count] {
                hidden[picture * patches + *patch as usize] = true;
            }
        }
        let mask: Vec<f32> = hidden.iter().map(|h| f32::from(u8::from(*h))).collect();
        acts.assert_close(&name("mask"), on, &mask, Tolerance::EXACT);

        let hidden = Tensor::<2, Bool>::from_data(TensorData::new(hidden, [pictures, patches]), &on.device);
        let mut recorder = Recorder::default();
        let z = tokenizer.encode_probed(image.clone(), Some(hidden), &mut recorder);
        let out = &recorder.stages.iter().find(|(n, _)| n == "enc.out").expect("enc.out").1;
        acts.assert_close(&name("enc_out"), on, out, Tolerance::WHOLE_MODEL);
        acts.assert_close(&name("z"), on, &z, Tolerance::WHOLE_MODEL);
        if acts.has(&name("recon")) {
            acts.assert_close(&name("recon"), on, tokenizer.decode(z), Tolerance::WHOLE_MODEL);
        } else {
            // The committed fixtures say which tensors they leave out for size; anything else missing is a failure.
            let left_out = manifest()["left_out"].to_string();
            assert!(left_out.contains(&name("recon")), "{} is missing", name("recon"));
        }
        seen.extend(["orders", "mask", "enc_out", "z", "recon"].map(name));
    }
    seen
}

#[test]
fn parity_tokenizer() {
    for on in devices() {
        check_all_stages("tokenizer", &on);
    }
}

#[test]
fn parity_tokenizer_with_absolute_positions() {
    for on in devices() {
        check_all_stages("tokenizer_ape", &on);
    }
}

#[test]
fn parity_variational_tokenizer() {
    for on in devices() {
        let acts = Fixture::open("tokenizer_kl.acts.safetensors");
        let config = config(&acts);
        let tokenizer = load("tokenizer_kl", &config, &on.device);
        let image = acts.tensor::<4>("in.image", &on.device);

        let mut recorder = Recorder::default();
        let mean = tokenizer.encode_probed(image.clone(), None, &mut recorder);
        let mut seen = check_stages(&acts, &on, &recorder, "");
        let posterior = tokenizer.posterior(image).expect("a variational tokenizer");
        acts.assert_close("mean", &on, &mean, Tolerance::WHOLE_MODEL);
        acts.assert_close("logvar", &on, &posterior.log_variance, Tolerance::WHOLE_MODEL);
        let sample = posterior.sample(acts.tensor::<3>("eps", &on.device));
        acts.assert_close("sample", &on, &sample, Tolerance::WHOLE_MODEL);
        let kl = posterior.kl();
        acts.assert_close("kl_per_sample", &on, &kl, Tolerance::WHOLE_MODEL);
        let weight = acts.entry()["config"]["kl_loss_weight"].as_f64().unwrap();
        let loss = kl.mean() * weight;
        acts.assert_close("loss", &on, &loss, Tolerance { abs: 0.0, ..Tolerance::WHOLE_MODEL });
        acts.assert_close("decode_mean", &on, tokenizer.decode(mean), Tolerance::WHOLE_MODEL);

        let compared = ["in.image", "mean", "logvar", "eps", "sample", "kl_per_sample", "loss", "decode_mean"];
        seen.extend(compared.map(str::to_owned));
        let unchecked: Vec<String> = acts.names().into_iter().filter(|n| !seen.contains(n)).collect();
        assert!(unchecked.is_empty(), "{unchecked:?}");
    }
}

/// Full size on the CPU only, as the reference asks: a ViT-B pair takes seconds there and minutes on software adapters.
#[test]
fn parity_fullsize_tokenizers() {
    let fixture = Fixture::open("fullsize.safetensors");
    let entry = fixture.entry();
    let prefix = entry["config"]["prefix"].as_str().unwrap();
    for (name, size) in entry["config"]["tokenizers"].as_object().unwrap() {
        let size = size.as_u64().unwrap() as usize;
        let table = if size == 256 { "maetok-b-128".to_owned() } else { format!("maetok-b-128-{size}") };
        let weights = hash_weights(&HashScales::of(entry), prefix, &table);
        let on = cpu();
        let tokenizer = TokenizerConfig::base_128(size).init(&on.device).unwrap();
        let (tokenizer, report) = checkpoint::load(tokenizer, &[&weights]).unwrap();
        let unused: Vec<_> = report.unused.iter().filter(|n| !n.starts_with("decoder.model.p")).collect();
        assert!(unused.is_empty(), "keys of the released model that nothing reads: {unused:?}");

        let planes = smooth(&hash_uniform(&format!("{prefix}image{size}"), 3 * size * size), size);
        let image = Tensor::<4>::from_data(TensorData::new(planes, [1, 3, size, size]), &on.device);
        let mut recorder = Recorder::default();
        let z = tokenizer.encode_probed(image, None, &mut recorder);
        fixture.assert_close(&format!("{name}.z"), &on, &z, Tolerance::WHOLE_MODEL);
        let recon = tokenizer.decode_probed(z.clone(), &mut recorder);
        let last = Tensor::<3>::from_data(
            recorder.stages.iter().rfind(|(n, _)| n.ends_with(".out")).unwrap().1.clone(),
            &on.device,
        );
        recorder.see("dec.norm", &tokenizer.decoder.final_norm(last, z));
        recorder.see("recon", &recon);
        check_statistics(name, &recorder);
        let recon: Vec<f32> = recon.into_data().try_to_vec().unwrap();
        let some: Vec<f32> = recon.into_iter().step_by(29).collect();
        fixture.assert_close(&format!("{name}.recon_every_29th"), &on, &some, Tolerance::WHOLE_MODEL);
    }
}

/// Every stage's statistics and end values against `fullsize.stats.json`.
pub(crate) fn check_statistics(model: &str, recorder: &Recorder) {
    let path = reference().join("fullsize.stats.json");
    let json = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let all: Value = serde_json::from_slice(&json).unwrap();
    let stages = all[model].as_object().unwrap_or_else(|| panic!("no statistics of {model}"));
    for (stage, want) in stages {
        let (_, values) =
            recorder.stages.iter().find(|(n, _)| n == stage).unwrap_or_else(|| panic!("no stage {stage}"));
        let values: Vec<f64> = values.try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|v| v * v).sum::<f64>();
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let mut got = vec![mean, deviation, squares.sqrt(), largest];
        got.extend(&values[..8]);
        got.extend(&values[values.len() - 4..]);
        let mut numbers: Vec<&Value> = ["mean", "std", "l2", "absmax"].iter().map(|k| &want[k]).collect();
        numbers.extend(want["first8"].as_array().unwrap());
        numbers.extend(want["last4"].as_array().unwrap());
        let want: Vec<f32> = numbers.iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let got: Vec<f32> = got.iter().map(|v| *v as f32).collect();
        let name = format!("{model}.{stage}");
        assert_close("fullsize.stats.json", &name, "cpu", &got, &want, Tolerance::WHOLE_MODEL);
    }
}

/// Safetensors bytes with every float tensor of a released model's key table, filled by the reference's hash rule.
pub(crate) fn hash_weights(scales: &HashScales, prefix: &str, table: &str) -> Vec<u8> {
    hash_weights_but(scales, prefix, table, |_, values| values)
}

/// [`hash_weights`] with the values of some tensors changed, as a reference file's note says.
pub(crate) fn hash_weights_but(
    scales: &HashScales,
    prefix: &str,
    table: &str,
    change: impl Fn(&Key, Vec<f32>) -> Vec<f32>,
) -> Vec<u8> {
    let filled: Vec<(String, Vec<usize>, Vec<u8>)> = keys(table)
        .into_iter()
        .filter(|key| key.dtype == "float32")
        .map(|key| {
            let values = change(&key, scales.values(prefix, &key.name, &key.shape));
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (key.name, key.shape, bytes)
        })
        .collect();
    let views = filled.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("bytes of this shape"))
    });
    safetensors::serialize(views, None).expect("a safetensors file")
}

/// 5×5 mean with zero padding, times 3, clamped to `[-1, 1]`, as the reference's manifest says.
fn smooth(planes: &[f32], size: usize) -> Vec<f32> {
    let at = |c: usize, y: isize, x: isize| {
        let inside = (0..size as isize).contains(&y) && (0..size as isize).contains(&x);
        if inside { f64::from(planes[(c * size + y as usize) * size + x as usize]) } else { 0.0 }
    };
    let window = || (-2isize..=2).flat_map(|dy| (-2isize..=2).map(move |dx| (dy, dx)));
    (0..3 * size * size)
        .map(|i| {
            let (c, y, x) = (i / (size * size), (i / size % size) as isize, (i % size) as isize);
            let sum: f64 = window().map(|(dy, dx)| at(c, y + dy, x + dx)).sum();
            (sum / 25.0 * 3.0).clamp(-1.0, 1.0) as f32
        })
        .collect()
}
