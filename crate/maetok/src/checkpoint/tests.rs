//! Round trips, and every way in which a weights file or a model folder can be wrong.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

use super::*;
use crate::Error;

/// A module with every kind of parameter the key rules know.
#[derive(Module, Debug)]
struct Toy {
    token: Param<Tensor<3>>,
    fc1: Linear,
    ada_ln_modulation: Linear,
    steps: usize,
}

fn toy(seed: f32) -> Toy {
    let device = Device::flex();
    let values: Vec<f32> = (0..6).map(|i| seed + i as f32).collect();
    let token = Tensor::from_data(TensorData::new(values, [1, 2, 3]), &device);
    Toy {
        token: Param::from_tensor(token),
        fc1: LinearConfig::new(3, 5).init(&device),
        ada_ln_modulation: LinearConfig::new(2, 4).with_initializer(Initializer::Ones).init(&device),
        steps: 1,
    }
}

fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    param.val().into_data().try_to_vec().expect("f32")
}

fn saved(toy: &Toy) -> Vec<u8> {
    save(toy, Storage::F32, &BTreeMap::new()).expect("saves")
}

/// A safetensors file of these tensors, as bytes of `dtype`.
fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("fits")));
    safetensors::serialize(views, None::<HashMap<String, String>>).expect("serialises")
}

/// All tensors of a saved toy, to be changed and written again.
fn parts(toy: &Toy) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = saved(toy);
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("reads");
    let mut parts: Vec<_> =
        file.iter().map(|(n, v)| (n.to_owned(), v.dtype(), v.shape().to_vec(), v.data().to_vec())).collect();
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts
}

fn rewritten(parts: &[(String, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let borrowed: Vec<_> = parts.iter().map(|(n, d, s, b)| (n.as_str(), *d, s.as_slice(), b.clone())).collect();
    file(&borrowed)
}

fn report(bytes: &[u8]) -> LoadReport {
    match load(toy(0.0), &[bytes]) {
        Err(Error::WeightsMismatch { report }) => *report,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

/// The sentence that a damaged file is refused with.
fn refusal(bytes: &[u8]) -> String {
    let error = load(toy(0.0), &[bytes]).expect_err("must be refused");
    assert_eq!(error.code(), "weights");
    let text = error.to_string();
    assert!(text.ends_with('.') && !text.contains('\n'), "{text}");
    text
}

#[test]
fn saved_weights_load_again_exactly() {
    let before = toy(3.0);
    let (after, report) = load(toy(0.0), &[&saved(&before)]).expect("loads");
    assert_eq!((report.loaded, report.unused.len()), (5, 0));
    assert_eq!(values(&after.token), values(&before.token));
    assert_eq!(values(&after.fc1.weight), values(&before.fc1.weight));
    assert_eq!(saved(&after), saved(&before));
}

#[test]
fn files_hold_official_keys_and_layouts() {
    let names = tensor_names(&saved(&toy(0.0))).expect("reads");
    let want: [(&str, &[usize]); 5] = [
        ("adaLN_modulation.1.bias", &[4]),
        ("adaLN_modulation.1.weight", &[4, 2]),
        ("fc1.bias", &[5]),
        ("fc1.weight", &[5, 3]),
        ("token", &[1, 2, 3]),
    ];
    assert_eq!(names.len(), want.len());
    for ((name, dtype, shape), (want_name, want_shape)) in names.iter().zip(want) {
        assert_eq!((name.as_str(), dtype.as_str(), shape.as_slice()), (want_name, "F32", want_shape));
    }
    let mut listed = shapes(&toy(0.0));
    listed.sort();
    assert_eq!(listed, names.into_iter().map(|(name, _, shape)| (name, shape)).collect::<Vec<_>>());
}

#[test]
fn a_linear_weight_is_transposed() {
    let toy = toy(0.0);
    let burn = values(&toy.fc1.weight); // [3, 5]
    let parts = parts(&toy);
    let (.., bytes) = parts.iter().find(|p| p.0 == "fc1.weight").expect("there"); // [5, 3]
    let at = |i: usize| f32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().expect("four"));
    assert_eq!(at(1), burn[5], "row 0, column 1 of the file is row 1, column 0 of the module");
}

#[test]
fn gradient_flags_and_ids_stay() {
    let module = toy(0.0);
    let (id, module) = (module.token.id, Module::no_grad(module));
    let (module, _) = load(module, &[&saved(&toy(1.0))]).expect("loads");
    assert_eq!(module.token.id, id);
    let training = module.train();
    assert!(!training.token.is_require_grad(), "a frozen parameter stays frozen");
}

#[test]
fn half_precision_files_load_as_f32() {
    let before = toy(0.5);
    let f16 = save(&before, Storage::F16, &BTreeMap::new()).expect("saves");
    assert!(f16.len() < saved(&before).len());
    let (after, _) = load(toy(9.0), &[&f16]).expect("loads");
    assert_eq!(values(&after.token), values(&before.token), "small halves are exact in f16");
    let bf16: Vec<_> = parts(&before)
        .into_iter()
        .map(|(name, _, shape, bytes)| {
            let half = |b: &[u8]| half::bf16::from_f32(f32::from_le_bytes([b[0], b[1], b[2], b[3]])).to_le_bytes();
            (name, Dtype::BF16, shape, bytes.chunks_exact(4).flat_map(half).collect())
        })
        .collect();
    let (after, _) = load(toy(9.0), &[&rewritten(&bf16)]).expect("loads");
    assert_eq!(values(&after.token), values(&before.token));
}

#[test]
fn wrappers_prefixes_and_shards_make_no_difference() {
    let before = toy(4.0);
    let mut parts = parts(&before);
    parts[0].0.insert_str(0, "module.");
    parts[1].0.insert_str(0, "_orig_mod.module.");
    parts[3].0 = "fc1._orig_mod.weight".to_owned();
    let (first, second) = parts.split_at(2);
    let (after, report) = load(toy(0.0), &[&rewritten(first), &rewritten(second)]).expect("loads");
    assert_eq!(report.loaded, 5);
    assert_eq!(saved(&after), saved(&before));
}

#[test]
fn a_tensor_that_is_there_twice_is_refused_by_name() {
    let mut parts = parts(&toy(0.0));
    let mut twin = parts[2].clone();
    twin.0.insert_str(0, "module.");
    parts.push(twin);
    assert!(refusal(&rewritten(&parts)).contains("fc1.bias twice"));
}

#[test]
fn the_report_names_everything_that_is_wrong_at_once() {
    let mut parts = parts(&toy(0.0));
    parts[1].2 = vec![2, 4]; // adaLN weight, transposed
    parts[2].3[..4].copy_from_slice(&f32::NAN.to_le_bytes()); // fc1.bias
    parts[3].0 = "fc9.weight".to_owned();
    parts[4].1 = Dtype::I32;
    parts.push(("encoder.freqs_t_x".to_owned(), Dtype::F32, vec![1], vec![0; 4]));
    let report = report(&rewritten(&parts));
    assert_eq!(report.missing, ["fc1.weight"]);
    assert_eq!(report.unused, ["fc9.weight"], "derived buffers are not worth a mention");
    assert_eq!(report.nonfinite, ["fc1.bias"]);
    assert_eq!(report.mistyped, ["token"]);
    let bad = Misshaped { name: "adaLN_modulation.1.weight".into(), want: vec![4, 2], got: vec![2, 4] };
    assert_eq!(report.misshaped, [bad]);
    assert_eq!(report.loaded, 1);
    let text = Error::WeightsMismatch { report: Box::new(report) }.to_string();
    for name in ["fc1.weight", "fc1.bias", "token", "the model has [4, 2], the file [2, 4]"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn unused_tensors_are_reported_but_no_error() {
    let mut parts = parts(&toy(0.0));
    parts.push(("repa_model.cls_token".to_owned(), Dtype::F32, vec![1], vec![0; 4]));
    let (_, report) = load(toy(0.0), &[&rewritten(&parts)]).expect("loads");
    assert_eq!(report.unused, ["repa_model.cls_token"]);
}

#[test]
fn values_too_large_for_f16_are_refused_not_saved_as_infinity() {
    let error = save(&toy(1e6), Storage::F16, &BTreeMap::new()).expect_err("must be refused");
    assert!(error.to_string().contains("token"), "{error}");
}

#[test]
fn extra_tensors_are_saved_and_bytes_repeat() {
    let extra = BTreeMap::from([("encoder.freqs_t_x".to_owned(), (vec![2], vec![0.0, 1.0]))]);
    let toy = toy(0.0);
    let bytes = save(&toy, Storage::F32, &extra).expect("saves");
    assert!(tensor_names(&bytes).expect("reads").iter().any(|(name, ..)| name == "encoder.freqs_t_x"));
    for _ in 0..4 {
        assert_eq!(save(&toy, Storage::F32, &extra).expect("saves"), bytes);
    }
}

#[test]
fn damaged_files_get_one_sentence() {
    let whole = saved(&toy(0.0));
    assert!(refusal(b"").contains("0 bytes"));
    assert!(refusal(&whole[..whole.len() - 1]).contains("cut short"));
    assert!(refusal(&whole[..40]).contains("its header claims"));
    let mut long_header = whole.clone();
    long_header[..8].copy_from_slice(&(whole.len() as u64 + 1).to_le_bytes());
    assert!(refusal(&long_header).contains(&format!("claims {} bytes", whole.len() + 1)));
    long_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&long_header).contains("its header claims"));
    let mut bad_json = whole.clone();
    bad_json[9] = b'!';
    assert!(refusal(&bad_json).contains("damaged"));
    assert!(refusal(&[0x55; 600]).contains("damaged"));
}

/// A model folder of two toys in a temporary directory.
fn folder(at: &Path) -> Manifest {
    let part = |seed| Part { config: "{}".to_owned(), weights: saved(&toy(seed)) };
    let class = |name: &str, label: &str| ClassEntry {
        name: name.to_owned(),
        label: label.to_owned(),
        group: "Avatars".to_owned(),
        thumbnail: None,
    };
    let mut manifest = Manifest::draft("toy", 64);
    manifest.classes = vec![class("lorelei", "Lorelei"), class("big-ears", "Big Ears"), class("bottts", "Bottts")];
    let folder = Folder {
        manifest,
        tokenizer: part(1.0),
        generator: Some(part(2.0)),
        card: "# Toy\n".to_owned(),
        extra: BTreeMap::from([("thumbnails/lorelei.webp".to_owned(), vec![1, 2, 3])]),
    };
    write_folder(at, &folder).expect("writes")
}

fn folder_refusal(at: &Path) -> Error {
    let error = ModelFiles::from_folder(at).expect_err("must be refused");
    let text = error.to_string();
    assert!(text.ends_with('.') && !text.contains('\n'), "{text}");
    error
}

/// Rewrites the manifest of a folder.
fn edit(at: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = at.join("manifest.json");
    let mut json = serde_json::from_slice(&fs::read(&path).expect("reads")).expect("JSON");
    change(&mut json);
    fs::write(path, json.to_string()).expect("writes");
}

#[test]
fn a_written_folder_reads_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    let manifest = folder(&at);
    let files = ModelFiles::from_folder(&at).expect("reads");
    assert_eq!(files.manifest, manifest);
    assert_eq!(manifest.files.len(), 6);
    let (_, report) = load(toy(0.0), &[files.file("sit/model.safetensors").expect("there")]).expect("loads");
    assert_eq!(report.loaded, 5);
    assert!(files.file("nothing").is_err());
}

#[test]
fn a_folder_is_replaced_whole_and_other_folders_are_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    folder(&at);
    fs::write(at.join("stale"), "old").expect("writes");
    folder(&at);
    assert!(!at.join("stale").exists(), "nothing of the old folder stays");
    let other = dir.path().join("photographs");
    fs::create_dir(&other).expect("creates");
    fs::write(other.join("wedding.jpg"), "precious").expect("writes");
    let folder = Folder {
        manifest: Manifest::draft("x", 64),
        tokenizer: Part { config: String::new(), weights: Vec::new() },
        generator: None,
        card: String::new(),
        extra: BTreeMap::new(),
    };
    assert!(write_folder(&other, &folder).is_err());
    assert!(other.join("wedding.jpg").exists());
    let left: Vec<_> = fs::read_dir(dir.path()).expect("lists").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(left.len(), 2, "no temporary folders stay: {left:?}");
}

#[test]
fn one_flipped_byte_a_wrong_size_and_a_missing_file_are_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    folder(&at);
    let weights = at.join("sit/model.safetensors");
    let whole = fs::read(&weights).expect("reads");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&weights, &flipped).expect("writes");
    let error = folder_refusal(&at);
    assert!(
        matches!(&error, Error::Checksum { what: "SHA-256", path, .. } if path == "sit/model.safetensors"),
        "{error}"
    );
    fs::write(&weights, &whole[..whole.len() - 9]).expect("writes");
    assert!(matches!(folder_refusal(&at), Error::Checksum { what: "size", .. }));
    fs::remove_file(&weights).expect("removes");
    assert!(matches!(folder_refusal(&at), Error::Io { .. }));
    assert!(matches!(folder_refusal(&dir.path().join("nowhere")), Error::Io { .. }));
}

#[test]
fn manifests_that_point_outside_their_folder_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    fs::write(dir.path().join("secret"), "keep out").expect("writes");
    for path in ["../secret", "/etc/hostname", "a/../../secret", "C:\\secret", "..\\secret", "a//b", "", "./x", "a\0b"]
    {
        folder(&at);
        edit(&at, |json| json["files"][0]["path"] = path.into());
        let error = folder_refusal(&at);
        assert!(matches!(error, Error::Manifest { .. }), "{path:?}: {error}");
        folder(&at);
        edit(&at, |json| json["tokenizer"]["config"] = path.into());
        assert!(matches!(folder_refusal(&at), Error::Manifest { .. }), "{path:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_outside_is_refused_and_one_inside_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    folder(&at);
    let (inside, outside) = (at.join("README.md"), dir.path().join("card.md"));
    fs::rename(&inside, &outside).expect("moves");
    std::os::unix::fs::symlink(&outside, &inside).expect("links");
    let error = folder_refusal(&at);
    assert!(error.to_string().contains("by a link"), "{error}");
    fs::remove_file(&inside).expect("removes");
    fs::rename(&outside, at.join("card.md")).expect("moves");
    std::os::unix::fs::symlink("card.md", &inside).expect("links");
    ModelFiles::from_folder(&at).expect("a link inside the folder is fine");
}

#[test]
fn manifests_that_make_no_sense_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change); 10] = [
        ("format is 2", |json| json["format"] = 2.into()),
        ("image_size", |json| json["image_size"] = 0.into()),
        ("latent_std", |json| json["latent_std"] = 0.0.into()),
        ("64 lower-case", |json| json["files"][0]["sha256"] = "AB".into()),
        ("twice", |json| json["files"][1] = json["files"][0].clone()),
        ("without listing", |json| json["tokenizer"]["weights"][0] = "other".into()),
        ("without weights", |json| json["tokenizer"]["weights"] = serde_json::json!([])),
        ("kebab-case", |json| json["classes"][0]["name"] = "Big Ears".into()),
        ("names the class lorelei twice", |json| json["classes"][1]["name"] = "lorelei".into()),
        ("no classes", |json| json["classes"] = serde_json::json!([])),
    ];
    for (reason, change) in cases {
        folder(&at);
        edit(&at, change);
        let text = folder_refusal(&at).to_string();
        assert!(text.contains(reason), "{text} does not say {reason}");
    }
    for json in ["", "[]", "{", "{\"format\": 1}", "{\"format\": \"one\"}"] {
        assert!(matches!(Manifest::parse(json.as_bytes()), Err(Error::Manifest { .. })), "{json}");
    }
}

#[test]
fn files_given_as_bytes_are_checked_the_same_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("toy");
    let manifest = folder(&at);
    let given = |paths: &[&str]| -> Vec<(String, Vec<u8>)> {
        paths.iter().map(|p| (p.to_string(), fs::read(at.join(p)).expect("reads"))).collect()
    };
    let required: Vec<&str> = manifest.required().collect();
    assert_eq!(required.len(), 4);
    ModelFiles::from_bytes(manifest.clone(), given(&required)).expect("pictures of classes are not required");
    let error = ModelFiles::from_bytes(manifest.clone(), given(&required[1..])).expect_err("one is missing");
    assert!(error.to_string().contains("tokenizer/config.json was not given"), "{error}");
    let mut unlisted = given(&required);
    unlisted.push(("extra".to_owned(), Vec::new()));
    assert!(ModelFiles::from_bytes(manifest.clone(), unlisted).is_err());
    let mut wrong = given(&required);
    wrong[1].1[20] ^= 0x80;
    assert!(matches!(ModelFiles::from_bytes(manifest, wrong), Err(Error::Checksum { .. })));
}

#[test]
fn classes_are_found_by_name_label_and_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = folder(&dir.path().join("toy"));
    for (wanted, index) in [("lorelei", 0), ("big-ears", 1), ("Big Ears", 1), ("BOTTTS", 2), ("2", 2), (" 0 ", 0)] {
        assert_eq!(manifest.class_index(wanted).expect("known"), index, "{wanted}");
    }
    let Err(Error::UnknownClass { nearest, .. }) = manifest.class_index("bigears") else { panic!("must be unknown") };
    assert_eq!(nearest[0], "big-ears");
    for number in ["3", "99999999999999999999999999"] {
        assert!(matches!(manifest.class_index(number), Err(Error::Setting { .. })), "{number}");
    }
    assert!(manifest.class_index("").is_err());
    assert!(manifest.class_index(&"x".repeat(100_000)).is_err());
    assert!(Manifest::draft("none", 64).class_index("0").is_err());
}

#[test]
fn a_file_is_replaced_in_one_step() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log.json");
    for text in ["one", "two"] {
        write_atomically(&path, text.as_bytes()).expect("writes");
        assert_eq!(fs::read_to_string(&path).expect("reads"), text);
    }
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    assert!(matches!(write_atomically(&dir.path().join("no/such/dir"), b""), Err(Error::Io { .. })));
}

proptest! {
    #[test]
    fn random_bytes_never_panic_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::parse(&bytes);
        let _ = load(toy(0.0), &[&bytes]);
        let _ = tensor_names(&bytes);
    }

    #[test]
    fn headers_with_random_changes_never_panic(at in 0usize..400, byte: u8) {
        let mut bytes = saved(&toy(0.0));
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = load(toy(0.0), &[&bytes]);
    }

    #[test]
    fn manifests_with_random_changes_never_panic(at in 0usize..2000, byte: u8) {
        let mut json = serde_json::to_vec(&Manifest::draft("toy", 64)).expect("JSON");
        let at = at % json.len();
        json[at] = byte;
        let _ = Manifest::parse(&json);
    }
}
