//! SiT against numbers of the official code: every stage of two small models, and SiT-XL at full size.

use std::collections::BTreeSet;

use burn::tensor::{Int, Tensor, TensorData};
use maetok_tests::{Fixture, HashScales, TestDevice, Tolerance, cpu, devices, hash_uniform};
use serde_json::Value;

use super::embed::timestep_sinusoid;
use super::{Sit, SitConfig};
use crate::checkpoint;
use crate::kernels::{self, Route};
use crate::nn::pos_embed::sinusoid_1d;
use crate::nn::probe::Recorder;
use crate::tokenizer::{check_statistics, hash_weights};

/// The configuration that a reference file's manifest entry describes.
pub(crate) fn config(entry: &Value) -> SitConfig {
    let size = |name: &str| entry["config"][name].as_u64().unwrap_or_else(|| panic!("{name} in the manifest")) as usize;
    SitConfig {
        tokens: size("tokens"),
        channels: size("channels"),
        width: size("width"),
        depth: size("depth"),
        heads: size("heads"),
        classes: size("classes"),
        qk_norm: entry["qk_norm"].as_bool().unwrap_or(false),
        ..SitConfig::xl()
    }
}

fn check_all_stages(name: &str, on: &TestDevice) {
    let acts = Fixture::open(&format!("{name}.acts.safetensors"));
    let config = config(acts.entry());
    let weights = Fixture::open(&format!("{name}.weights.safetensors"));
    let (sit, report) = checkpoint::load(config.init(&on.device).unwrap(), &[weights.bytes()]).unwrap();
    assert!(report.unused.is_empty(), "{:?}", report.unused);

    let x = acts.tensor::<3>("in.x", &on.device);
    let t = acts.tensor::<1>("in.t", &on.device);
    let y = acts.int_tensor::<1>("in.y", &on.device);
    let mut recorder = Recorder::default();
    sit.forward_probed(x.clone(), t.clone(), y.clone(), &mut recorder);
    // With nobody looking, steps are joined, and on a GPU they are kernels.
    for route in [Route::Plain, Route::Registers, Route::Tiles] {
        let v = kernels::within(route, || sit.forward(x.clone(), t.clone(), y.clone()));
        acts.assert_close("out", on, &v, Tolerance::WHOLE_MODEL);
    }
    let mut seen = BTreeSet::new();
    for (stage, values) in &recorder.stages {
        if acts.has(stage) {
            acts.assert_close(stage, on, values, Tolerance::WHOLE_MODEL);
            seen.insert(stage.clone());
        }
    }
    seen.extend(check_label_drop(&acts, on, &sit, config.classes));
    seen.extend(["in.x", "in.t", "in.y"].map(str::to_owned));
    let unchecked: Vec<String> = acts.names().into_iter().filter(|n| !seen.contains(n)).collect();
    assert!(unchecked.is_empty(), "{name} has tensors that nothing was compared with: {unchecked:?}");
}

/// Labels forced to the null class give its row of the table.
fn check_label_drop(acts: &Fixture, on: &TestDevice, sit: &Sit, classes: usize) -> [String; 2] {
    let (_, labels) = acts.i64("in.y");
    let (_, dropped) = acts.i64("label_drop.force_ids");
    let labels: Vec<i64> =
        labels.into_iter().zip(dropped).map(|(y, drop)| if drop == 1 { classes as i64 } else { y }).collect();
    let count = labels.len();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), &on.device);
    acts.assert_close("label_drop.emb", on, sit.embed_classes(labels), Tolerance::SINGLE_MODULE);
    ["label_drop.force_ids", "label_drop.emb"].map(str::to_owned)
}

#[test]
fn parity_sit() {
    for on in devices() {
        check_all_stages("sit", &on);
    }
}

#[test]
fn parity_sit_with_qk_norm() {
    for on in devices() {
        check_all_stages("sit_qknorm", &on);
    }
}

#[test]
fn parity_timestep_embedding_and_positions() {
    let misc = Fixture::open("misc.safetensors");
    for on in devices() {
        let t = misc.tensor::<1>("timestep.t", &on.device);
        misc.assert_close("timestep.emb256", &on, timestep_sinusoid(t), Tolerance::SINGLE_MODULE);
        for name in misc.names().into_iter().filter(|n| n.starts_with("pos1d.")) {
            let mut parts = name.split('.').skip(1);
            let (tokens, width) = parts.next().and_then(|size| size.split_once('x')).expect("tokens x width");
            let table = sinusoid_1d(tokens.parse().unwrap(), width.parse().unwrap(), &on.device);
            let rows = parts.next().and_then(|rows| rows.strip_prefix("rows_"));
            let table = match rows {
                None => table,
                Some(rows) => {
                    let rows: Vec<i64> = rows.split('_').map(|r| r.parse().unwrap()).collect();
                    let count = rows.len();
                    table.select(0, Tensor::from_data(TensorData::new(rows, [count]), &on.device))
                }
            };
            misc.assert_close(&name, &on, &table, Tolerance::SINGLE_MODULE);
        }
    }
}

/// Full size on the CPU only: 2.7 GB of weights.
#[test]
fn parity_fullsize_sit_xl() {
    let reference = Fixture::open("fullsize.safetensors");
    let entry = reference.entry();
    let prefix = entry["config"]["prefix"].as_str().unwrap();
    let on = cpu();
    let config = SitConfig::xl();
    let sit = {
        let weights = hash_weights(&HashScales::of(entry), prefix, "sit-xl-1_maetok-128x32");
        let (sit, report) = checkpoint::load(config.init(&on.device).unwrap(), &[&weights]).unwrap();
        assert!(report.unused.is_empty(), "{:?}", report.unused);
        // The reference keeps the sinusoid where the rule would hash.
        sit.with_fixed_positions(&config)
    };
    let numbers = |name: &str| entry["config"][name].as_array().unwrap();
    let t: Vec<f32> = numbers("t").iter().map(|t| t.as_f64().unwrap() as f32).collect();
    let y: Vec<i64> = numbers("y").iter().map(|y| y.as_i64().unwrap()).collect();
    let batch = t.len();
    let shape = [batch, config.tokens, config.channels];
    let x = hash_uniform(&format!("{prefix}latents"), shape.iter().product()).iter().map(|x| x * 1.7).collect();
    let mut recorder = Recorder::default();
    let v = sit.forward_probed(
        Tensor::from_data(TensorData::new::<f32, _>(x, shape), &on.device),
        Tensor::from_data(TensorData::new(t, [batch]), &on.device),
        Tensor::from_data(TensorData::new(y, [batch]), &on.device),
        &mut recorder,
    );
    check_statistics("sit", &recorder);
    reference.assert_close("sit.out", &on, &v, Tolerance::WHOLE_MODEL);
}
