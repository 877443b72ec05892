//! Weights of real size that need no file: every value follows from a hash of the tensor's name.
//!
//! The rule is the reference manifest's `hash_rule`.

use serde_json::Value;

use crate::fixtures;

/// `n` values in -1..1 that depend on `name` alone, in C order.
pub fn hash_uniform(name: &str, n: usize) -> Vec<f32> {
    let start = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (1..=n as u64)
        .map(|i| {
            let mut z = start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            2.0 * ((z >> 40) as f32 / 16_777_216.0) - 1.0
        })
        .collect()
}

/// A tensor of a key table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Official key.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Type: `float32`, or that of an integer buffer.
    pub dtype: String,
}

/// The key table `fixtures/keys/<table>.json` of a released model.
///
/// # Panics
/// If there is no such table.
pub fn keys(table: &str) -> Vec<Key> {
    let path = fixtures().join("keys").join(format!("{table}.json"));
    let json = std::fs::read(&path).unwrap_or_else(|e| panic!("no key table at {}: {e}", path.display()));
    let table: Value = serde_json::from_slice(&json).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let size = |value: &Value| value.as_u64().expect("a size") as usize;
    let rows = table["tensors"].as_array().expect("a list of tensors");
    rows.iter()
        .map(|row| Key {
            name: text(&row["name"]),
            shape: row["shape"].as_array().expect("a shape").iter().map(size).collect(),
            dtype: text(&row["dtype"]),
        })
        .collect()
}

/// The table `hash_scales` of a reference file: which base and scale a tensor's hash values get.
#[derive(Clone, Debug)]
pub struct HashScales {
    rules: Vec<(String, f32, Option<f32>)>,
}

impl HashScales {
    /// Reads `hash_scales` from a file's manifest entry.
    ///
    /// # Panics
    /// If the entry has none.
    pub fn of(entry: &Value) -> Self {
        let rows = entry["hash_scales"].as_array().expect("hash_scales of the manifest entry");
        let number = |value: &Value| value.as_f64().map(|v| v as f32);
        let rule = |row: &Value| {
            let test = row[0].as_str().expect("a test").to_owned();
            // A scale that is not a number is the word "fan".
            (test, number(&row[1]).expect("a base"), number(&row[2]))
        };
        Self { rules: rows.iter().map(rule).collect() }
    }

    /// The values of the tensor `key` of this shape, hashed under `prefix` + `key`.
    ///
    /// # Panics
    /// If no rule holds.
    pub fn values(&self, prefix: &str, key: &str, shape: &[usize]) -> Vec<f32> {
        let holds = |test: &str| match test.split_once(' ') {
            Some(("ends", end)) => key.ends_with(end),
            Some(("starts", start)) => key.starts_with(start),
            Some(("1-d", "weight")) => shape.len() == 1,
            _ => test == "else",
        };
        let (_, base, scale) =
            self.rules.iter().find(|(test, ..)| holds(test)).unwrap_or_else(|| panic!("no hash rule for {key}"));
        let fan_in: usize = shape.iter().skip(1).product();
        let scale = scale.unwrap_or_else(|| (3.0 / fan_in as f64).sqrt() as f32);
        let uniform = hash_uniform(&format!("{prefix}{key}"), shape.iter().product());
        uniform.into_iter().map(|u| base + scale * u).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest, reference};

    #[test]
    fn hash_values_depend_on_the_name_and_fill_minus_one_to_one() {
        let a = hash_uniform("a", 10_000);
        assert_ne!(a[..8], hash_uniform("b", 8)[..]);
        assert_eq!(a[..8], hash_uniform("a", 8)[..]);
        let (low, high) = a.iter().fold((1.0f32, -1.0f32), |(l, h), v| (l.min(*v), h.max(*v)));
        assert!((-1.0..-0.99).contains(&low) && (0.99..1.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn key_tables_hold_the_published_number_of_tensors() {
        let published = [
            ("maetok-b-128", 316),
            ("maetok-b-128-512", 316),
            ("sit-xl-1_maetok-128x32", 292),
            ("lpips-vgg16", 33),
            ("discriminator-dino-vits16", 152),
            ("discriminator-heads", 110),
        ];
        for (table, tensors) in published {
            assert_eq!(keys(table).len(), tensors, "{table}");
        }
    }

    #[test]
    fn the_first_rule_that_holds_decides() {
        if !reference().join("fullsize.safetensors").is_file() {
            panic!("the reference file fullsize.safetensors is missing");
        }
        let scales = HashScales::of(&manifest()["files"]["fullsize.safetensors"]);
        let norm = scales.values("p.", "encoder.model.norm.weight", &[64]);
        assert!(norm.iter().all(|v| (v - 1.0).abs() <= 0.1), "a 1-d weight lies near 1");
        let bias = scales.values("p.", "encoder.model.norm.bias", &[64]);
        assert!(bias.iter().all(|v| v.abs() <= 0.05));
        let linear = scales.values("p.", "quant_conv.weight", &[4, 300]);
        assert!(linear.iter().all(|v| v.abs() <= 0.1) && linear.iter().any(|v| v.abs() > 0.09), "1/sqrt(100)");
    }
}
