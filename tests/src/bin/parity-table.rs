//! Prints the parity report as a table: worst relative error by reference file and device.
//!
//! Run the parity tests first; the lines of `target/parity-report.jsonl` are from the last run that reached them.

use std::collections::{BTreeMap, BTreeSet};

fn main() {
    let path = maetok_tests::report_path();
    let Ok(lines) = std::fs::read_to_string(&path) else {
        println!("There is no report at {}; run `cargo test --release --workspace parity` first.", path.display());
        std::process::exit(1);
    };
    // The last line of a tensor on a device counts.
    let mut errors = BTreeMap::new();
    for line in lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let relative = line["relative"].as_f64().unwrap_or(f64::NAN);
        errors.insert((text("file"), text("device"), text("tensor")), relative);
    }
    let groups: BTreeSet<(String, String)> = errors.keys().map(|(f, d, _)| (f.clone(), d.clone())).collect();
    println!("| reference file | device | tensors | worst relative error | at |");
    println!("| --- | --- | ---: | ---: | --- |");
    for (file, device) in groups {
        let here: Vec<_> = errors.iter().filter(|((f, d, _), _)| *f == file && *d == device).collect();
        let Some(((.., tensor), worst)) = here.iter().max_by(|a, b| a.1.total_cmp(b.1)) else { continue };
        println!("| {file} | {device} | {} | {worst:.1e} | {tensor} |", here.len());
    }
    println!("\nRelative error: largest difference of a tensor over its largest value.");
}
