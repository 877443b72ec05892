//! The three linear kernels against [`definition`], and how far packed weights are from the ones they stand for.

mod gpu;

use gpu::{Gpu, Slot, assert_close, bits, gpu, noise};
use maetok_shaders::linear::{
    Int8, LinearParams, PackError, Part, REGISTERS, TILES, UNPACK, UnpackParams, VECTOR, pack_f16, pack_f32, pack_int8,
    registers_grid, registers_parts, tiles_grid, unpack_f16, unpack_grid, unpack_int8, vector_grid,
};
use maetok_shaders::{Kernel, LONGEST, grid};
use proptest::prelude::*;

/// Rounding of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
/// What an activation may be off by, at most, beside what its argument is off by: the formula of erf, and exp.
const ACTIVATION: f64 = 1e-6;

/// One call of a kernel: sizes, contents, variant.
struct Case {
    params: LinearParams,
    x: Vec<f32>,
    /// `[K, N]`, as the kernel is to understand the packed ones.
    w: Vec<f32>,
    words: Vec<u32>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
    gate: Vec<f32>,
    weights: &'static str,
    has_bias: bool,
    activation: &'static str,
    residual_kind: &'static str,
}

impl Case {
    /// `group`: rows under one scale, for int8.
    fn new(m: u32, n: u32, k: u32, weights: &'static str, group: u32) -> Self {
        let seed = m.wrapping_mul(31) ^ n.wrapping_mul(1009) ^ k.wrapping_mul(7919);
        let original = noise(seed, (k * n) as usize);
        let mut case = Self {
            params: LinearParams { group, ..LinearParams::new(m, n, k) },
            x: noise(seed ^ 1, (m * k) as usize),
            w: Vec::new(),
            words: Vec::new(),
            scales: vec![0.0; 4],
            bias: noise(seed ^ 2, n as usize),
            residual: noise(seed ^ 3, (m * n) as usize),
            gate: noise(seed ^ 4, n as usize),
            weights,
            has_bias: true,
            activation: "IDENTITY",
            residual_kind: "NONE",
        };
        case.set_weights(&original);
        case
    }

    fn set_weights(&mut self, original: &[f32]) {
        let LinearParams { n, k, group, .. } = self.params;
        let (n, k, group) = (n as usize, k as usize, group as usize);
        match self.weights {
            "F32" => (self.words, self.w) = (original.iter().map(|w| w.to_bits()).collect(), original.to_vec()),
            "F16" => {
                self.words = pack_f16(original, k, n).unwrap();
                self.w = unpack_f16(&self.words, n);
            }
            _ => {
                let packed = pack_int8(original, k, n, group).unwrap();
                self.w = unpack_int8(&packed, n, group);
                (self.words, self.scales) = (packed.words, packed.scales);
            }
        }
    }

    /// A row of gates for every `rows` rows, found after 4 other floats in rows with 12 more.
    fn with_gates_per_sample(mut self, rows: u32) -> Self {
        let LinearParams { m, n, .. } = self.params;
        self.params.rows_per_sample = rows;
        self.params.gate_stride = n + 12;
        self.params.gate_offset = 4;
        self.gate = noise(n ^ 5, (m.div_ceil(rows) * (n + 12)) as usize);
        self.residual_kind = "GATED";
        self
    }

    fn run(&self, gpu: &Gpu, kernel: &Kernel, rows: u32, grid: [u32; 3]) -> Vec<f32> {
        let text_rows = format!("{rows}u");
        let mut choices = vec![
            ("WEIGHTS", self.weights),
            ("BIAS", if self.has_bias { "true" } else { "false" }),
            ("ACTIVATION", self.activation),
            ("RESIDUAL", self.residual_kind),
        ];
        if kernel.name == VECTOR.name {
            choices.push(("ROWS", text_rows.as_str()));
        }
        // What a variant has no use for is 16 bytes of anything.
        let nothing = vec![f32::NAN; 4];
        let when = |used: bool, values: &Vec<f32>| bits(if used { values } else { &nothing });
        let slots = [
            Slot::In(&bits(&self.x)),
            Slot::In(&self.words),
            Slot::In(&when(self.weights == "INT8", &self.scales)),
            Slot::In(&when(self.has_bias, &self.bias)),
            Slot::In(&when(self.residual_kind != "NONE", &self.residual)),
            Slot::In(&when(self.residual_kind == "GATED", &self.gate)),
            Slot::Out((self.params.m * self.params.n) as usize),
            Slot::In(&self.params.words()),
        ];
        gpu.run(kernel.name, &kernel.text(&choices), &slots, grid).remove(0)
    }

    fn name(&self, kernel: &str) -> String {
        let LinearParams { m, n, k, group, .. } = self.params;
        format!(
            "{kernel} {m} x {k} x {n} {} (group {group}), bias {}, {}, {}",
            self.weights, self.has_bias, self.activation, self.residual_kind
        )
    }

    /// Every kernel, [`VECTOR`] with every number of rows, against the definition.
    fn check(&self, gpu: &Gpu) {
        self.check_with(gpu, &[1, 2, 3, 4]);
    }

    fn check_with(&self, gpu: &Gpu, rows: &[u32]) {
        let LinearParams { m, n, .. } = self.params;
        let (want, bound) = definition(self);
        let check = |kernel: &Kernel, rows: u32, grid: [u32; 3]| {
            let got = self.run(gpu, kernel, rows, grid);
            assert_close(&format!("{} rows {rows}", self.name(kernel.name)), gpu, &got, &want, |at| bound[at]);
        };
        check(&REGISTERS, 0, registers_grid(m, n));
        check(&TILES, 0, tiles_grid(m, n));
        for rows in rows {
            check(&VECTOR, *rows, vector_grid(m, n, *rows));
        }
    }
}

/// `y`, in f64, and for each element the most that sums in f32, in any order, may be off.
fn definition(case: &Case) -> (Vec<f64>, Vec<f64>) {
    let p = &case.params;
    let (m, n, k) = (p.m as usize, p.n as usize, p.k as usize);
    let (mut values, mut bounds) = (Vec::new(), Vec::new());
    for row in 0..m {
        for column in 0..n {
            let (mut value, mut size) = (0.0, 0.0);
            for i in 0..k {
                let term = f64::from(case.x[row * k + i]) * f64::from(case.w[i * n + column]);
                value += term;
                size += term.abs();
            }
            if case.has_bias {
                value += f64::from(case.bias[column]);
                size += f64::from(case.bias[column]).abs();
            }
            // One rounding for each term, one for the bias, two for a weight times its scale here and there.
            let mut bound = (k as f64 + 3.0) * U * size;
            if case.activation != "IDENTITY" {
                // No slope of the three is above 1.13. Beyond |value| = 4 the formula's error grows with it.
                bound = 1.13 * bound + ACTIVATION * (value.abs() / 4.0).max(1.0);
                value = activate(case.activation, value);
            }
            if case.residual_kind != "NONE" {
                let old = f64::from(case.residual[row % p.residual_rows as usize * n + column]);
                let gate = match case.residual_kind {
                    "GATED" => {
                        let sample = row / p.rows_per_sample as usize;
                        f64::from(case.gate[p.gate_offset as usize + sample * p.gate_stride as usize + column])
                    }
                    _ => 1.0,
                };
                bound = gate.abs() * bound + 2.0 * U * (old.abs() + (gate * value).abs());
                value = old + gate * value;
            }
            values.push(value);
            bounds.push(bound + f64::from(f32::MIN_POSITIVE));
        }
    }
    (values, bounds)
}

fn activate(kind: &str, x: f64) -> f64 {
    match kind {
        "GELU_EXACT" => x * (1.0 + erf(x / std::f64::consts::SQRT_2)) / 2.0,
        "GELU_TANH" => x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()) / 2.0,
        "SILU" => x / (1.0 + (-x).exp()),
        _ => x,
    }
}

/// erf by its series, to 1e-13 or so up to 6 in magnitude; 1 beyond.
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    // All terms positive: 2/sqrt(pi) exp(-x²) sum 2^n x^(2n+1) / (2n+1)!!
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[test]
fn erf_has_its_textbook_values() {
    for (x, want) in
        [(0.0, 0.0), (0.5, 0.520_499_877_813_046_5), (-1.0, -0.842_700_792_949_714_9), (3.0, 0.999_977_909_503_001_4)]
    {
        assert!((erf(x) - want).abs() < 1e-14, "erf({x}) = {}", erf(x));
    }
}

#[test]
fn the_shared_part_is_the_same_in_all_three_files() {
    let file = |kernel: &Kernel| {
        let path = format!("{}/{}.wgsl", env!("CARGO_MANIFEST_DIR"), kernel.name);
        std::fs::read_to_string(path).expect("the file")
    };
    let part = |kernel: &Kernel, from: &str, to: &str| {
        let file = file(kernel);
        let (start, end) = (file.find(from).expect("it starts"), file.find(to).expect("it ends"));
        file[start..end].to_owned()
    };
    let shared = |kernel| part(kernel, "// The same in the three", "// To here.");
    assert_eq!(shared(&REGISTERS), shared(&TILES));
    assert_eq!(shared(&REGISTERS), shared(&VECTOR));
    // How weights are read is the same where they are only unpacked.
    let reading = "/// The f16 in the upper halves";
    assert_eq!(part(&REGISTERS, reading, "/// x * (1 + erf("), part(&UNPACK, reading, "// To here."));
}

/// One, primes, one less and one more than a tile, k shorter than a round; every storage.
#[test]
fn sums_agree_at_all_sizes() {
    let Some(gpu) = gpu("sums_agree_at_all_sizes") else { return };
    for (m, n, k) in
        [(1, 4, 4), (2, 8, 20), (3, 68, 12), (5, 64, 52), (7, 12, 124), (63, 60, 64), (65, 132, 36), (131, 76, 68)]
    {
        for (weights, group) in [("F32", k), ("F16", k), ("INT8", k), ("INT8", 4), ("INT8", 12), ("INT8", 4 * k)] {
            Case::new(m, n, k, weights, group).check(gpu);
        }
    }
}

#[test]
fn nothing_to_sum_leaves_the_bias() {
    let Some(gpu) = gpu("nothing_to_sum_leaves_the_bias") else { return };
    Case { x: vec![f32::NAN; 4], words: vec![0; 4], ..Case::new(3, 8, 0, "F32", 4) }.check(gpu);
}

/// Every bias, activation and residual. What the weights were is forgotten by then: one of each other storage.
#[test]
fn what_follows_the_sum_agrees() {
    let Some(gpu) = gpu("what_follows_the_sum_agrees") else { return };
    let follow = |weights, activation, residual_kind, has_bias| {
        let case = Case { activation, residual_kind, has_bias, ..Case::new(9, 20, 16, weights, 8) };
        case.check_with(gpu, &[3]);
    };
    for activation in ["IDENTITY", "GELU_EXACT", "GELU_TANH", "SILU"] {
        for residual_kind in ["NONE", "ADDED", "GATED"] {
            for has_bias in [true, false] {
                follow("F32", activation, residual_kind, has_bias);
            }
        }
    }
    follow("F16", "GELU_EXACT", "GATED", true);
    follow("INT8", "GELU_TANH", "GATED", true);
}

#[test]
fn gates_per_sample_are_read_among_other_parts() {
    let Some(gpu) = gpu("gates_per_sample_are_read_among_other_parts") else { return };
    // 70 rows in samples of 32, 32 and 6.
    Case { activation: "GELU_TANH", ..Case::new(70, 72, 24, "F32", 24) }.with_gates_per_sample(32).check(gpu);
    Case::new(6, 8, 24, "INT8", 8).with_gates_per_sample(1).check(gpu);
}

#[test]
fn a_residual_of_fewer_rows_starts_over() {
    let Some(gpu) = gpu("a_residual_of_fewer_rows_starts_over") else { return };
    let mut case = Case { residual_kind: "ADDED", ..Case::new(70, 8, 16, "F32", 16) };
    case.params.residual_rows = 32;
    case.residual.truncate(32 * 8);
    case.check(gpu);
}

/// `x` is the identity times `scale`, so the activations see chosen numbers.
fn activations(gpu: &Gpu, activation: &'static str, inputs: &[f32]) -> [Vec<f32>; 3] {
    let n = inputs.len() as u32;
    let mut case = Case { has_bias: false, activation, ..Case::new(1, n, 4, "F32", 4) };
    case.x = vec![1.0, 0.0, 0.0, 0.0];
    // The other rows are 0: times 0 they add nothing even beside an infinity.
    case.w = [inputs, &vec![0.0; 3 * inputs.len()]].concat();
    case.words = bits(&case.w);
    [
        case.run(gpu, &REGISTERS, 0, registers_grid(1, n)),
        case.run(gpu, &TILES, 0, tiles_grid(1, n)),
        case.run(gpu, &VECTOR, 1, vector_grid(1, n, 1)),
    ]
}

/// 1e-6 absolute up to 4, in the tails too, where the formula must not cancel.
#[test]
fn activations_are_exact_to_a_millionth() {
    let Some(gpu) = gpu("activations_are_exact_to_a_millionth") else { return };
    let inputs: Vec<f32> = (-6000..=6003).map(|i| i as f32 * 0.002).collect();
    for activation in ["GELU_EXACT", "GELU_TANH", "SILU"] {
        let want: Vec<f64> = inputs.iter().map(|x| activate(activation, f64::from(*x))).collect();
        for got in activations(gpu, activation, &inputs) {
            assert_close(activation, gpu, &got, &want, |at| 1e-6 * f64::from(inputs[at].abs() / 4.0).max(1.0));
        }
    }
}

/// All finite f16, the smallest included, come out of the kernels as the numbers they are.
#[test]
fn f16_is_read_exactly() {
    let Some(gpu) = gpu("f16_is_read_exactly") else { return };
    let patterns: Vec<u32> = (0..=0xffff).filter(|pattern| pattern & 0x7c00 != 0x7c00).collect();
    let n = patterns.len();
    for row in 0..4 {
        let mut case = Case { has_bias: false, ..Case::new(1, n as u32, 4, "F16", 4) };
        case.x = vec![0.0; 4];
        case.x[row] = 1.0;
        case.words = vec![0; 2 * n];
        for (word, pattern) in case.words[row / 2 * n..].iter_mut().zip(&patterns) {
            *word = pattern << (16 * (row % 2));
        }
        let want: Vec<f64> = unpack_f16(&patterns, n)[..n].iter().map(|value| f64::from(*value)).collect();
        for (kernel, grid) in [
            (&REGISTERS, registers_grid(1, n as u32)),
            (&TILES, tiles_grid(1, n as u32)),
            (&VECTOR, vector_grid(1, n as u32, 1)),
        ] {
            assert_close(kernel.name, gpu, &case.run(gpu, kernel, 1, grid), &want, |_| 0.0);
        }
    }
}

/// More than a workgroup's worth, and a last group of rows that is shorter than the others.
#[test]
fn unpacking_gives_the_weights_bit_for_bit() {
    let Some(gpu) = gpu("unpacking_gives_the_weights_bit_for_bit") else { return };
    let (k, n) = (52, 44);
    for (weights, group) in [("F32", k), ("F16", k), ("INT8", k), ("INT8", 4), ("INT8", 16)] {
        let case = Case::new(1, n, k, weights, group);
        let params = UnpackParams { n, k, group };
        let slots = [
            Slot::In(&case.words),
            Slot::In(&bits(&case.scales)),
            Slot::Out((k * n) as usize),
            Slot::In(&params.words()),
        ];
        for grid in [unpack_grid(n, k), [1, 7, 1]] {
            let got = gpu.run(UNPACK.name, &UNPACK.text(&[("WEIGHTS", weights)]), &slots, grid).remove(0);
            assert_eq!(bits(&got), bits(&case.w), "{weights}, groups of {group}");
        }
    }
}

/// As the definitions in plain ops have it: huge numbers pass or vanish, minus infinity is NaN, for it is infinity times 0.
#[test]
fn activations_saturate_without_overflow() {
    let Some(gpu) = gpu("activations_saturate_without_overflow") else { return };
    let inputs = [1e4, -1e4, 3e38, -3e38, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0];
    let want = [1e4, 0.0, f64::from(3e38_f32), 0.0, f64::INFINITY, f64::NAN, f64::NAN, 0.0];
    for activation in ["GELU_EXACT", "GELU_TANH", "SILU"] {
        for got in activations(gpu, activation, &inputs) {
            assert_close(activation, gpu, &got, &want, |at| want[at].abs() * 1e-6 + f64::from(f32::MIN_POSITIVE));
        }
    }
}

/// A bad number spoils its row or column and nothing else.
#[test]
fn not_a_number_and_infinity_pass_through() {
    let Some(gpu) = gpu("not_a_number_and_infinity_pass_through") else { return };
    for weights in ["F32", "F16", "INT8"] {
        let mut case = Case::new(67, 68, 20, weights, 20);
        case.x[5 * 20 + 7] = f32::NAN;
        case.x[66 * 20 + 19] = f32::INFINITY;
        case.bias[67] = f32::NEG_INFINITY;
        if weights == "F32" {
            case.w[3 * 68 + 31] = f32::NAN;
            case.words = bits(&case.w);
        }
        case.check(gpu);
    }
}

/// Workgroups are numbered over x and y, however the dispatch cuts them, and those past the end do nothing.
#[test]
fn the_cut_of_the_grid_does_not_matter() {
    let Some(gpu) = gpu("the_cut_of_the_grid_does_not_matter") else { return };
    let case = Case::new(150, 200, 8, "F32", 8);
    let (want, bound) = definition(&case);
    for (kernel, rows) in [(&REGISTERS, 0), (&TILES, 0), (&VECTOR, 4)] {
        for y in [2, 7, 200] {
            let count: u32 = if rows == 0 { 3 * 4 } else { 38 * 4 };
            let got = case.run(gpu, kernel, rows, [count.div_ceil(y), y, 1]);
            assert_close(&case.name(kernel.name), gpu, &got, &want, |at| bound[at]);
        }
    }
}

/// Dispatches that share the work write each number once, and together what one writes.
#[test]
fn parts_of_a_layer_are_the_layer() {
    let Some(gpu) = gpu("parts_of_a_layer_are_the_layer") else { return };
    let mut case = Case::new(300, 200, 8, "F32", 8);
    let (want, bound) = definition(&case);
    for (kernel, rows, groups) in [(&REGISTERS, 0, 3 * 2), (&TILES, 0, 5 * 4), (&VECTOR, 4, 75 * 4)] {
        let cut = groups / 3 + 1;
        let [before, after] = [(0, cut), (cut, groups - cut)].map(|(first, count)| {
            case.params.first = first;
            case.run(gpu, kernel, rows, grid(u64::from(count)))
        });
        let both = before.iter().zip(&after).map(|(a, b)| if a.is_nan() { *b } else { *a }).collect::<Vec<f32>>();
        let once = before.iter().zip(&after).all(|(a, b)| a.is_nan() != b.is_nan());
        assert!(once, "{}", case.name(kernel.name));
        assert_close(&case.name(kernel.name), gpu, &both, &want, |at| bound[at]);
    }
}

#[test]
fn long_layers_have_several_dispatches() {
    for ((m, n, k), dispatches) in [
        ((1, 4, 0), 1),
        ((80, 768, 192), 1),
        ((385, 3072, 768), 4),
        ((256, 4608, 1152), 6),
        // No workgroup is cut: this one is long by itself.
        ((1, 4, 1 << 30), 1),
    ] {
        let parts: Vec<Part> = registers_parts(&LinearParams::new(m, n, k)).collect();
        assert_eq!(parts.len(), dispatches, "{m} x {k} x {n}");
        let mut end = 0;
        for Part { first, grid: [x, y, z], multiply_adds } in parts {
            assert_eq!(first, end);
            assert!(multiply_adds <= LONGEST || [x, y, z] == [1, 1, 1], "{multiply_adds} of {m} x {k} x {n}");
            end += x * y * z;
        }
        assert_eq!(end, m.div_ceil(128) * n.div_ceil(128));
    }
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    let Some(gpu) = gpu("more_workgroups_than_one_dimension_holds") else { return };
    for (kernel, rows, per_group) in [(&REGISTERS, 0, 64), (&TILES, 0, 64), (&VECTOR, 1, 1)] {
        let m = 65_600 * per_group - 3;
        let case = Case { has_bias: false, ..Case::new(m, 4, 4, "F32", 4) };
        let (want, bound) = definition(&case);
        let grid = grid(65_600);
        assert_eq!(grid[1], 2);
        assert_close(&case.name(kernel.name), gpu, &case.run(gpu, kernel, rows, grid), &want, |at| bound[at]);
    }
}

#[test]
fn packing_refuses_what_it_cannot_hold() {
    let nan = [0.0, 1.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let refused = |error: PackError, index: usize| matches!(error, PackError::Value { index: at, .. } if at == index);
    assert!(refused(pack_f32(&nan, 4, 4).unwrap_err(), 2));
    assert!(refused(pack_f16(&nan, 4, 4).unwrap_err(), 2));
    assert!(refused(pack_int8(&nan, 4, 4, 4).unwrap_err(), 2));
    let large = [&[65_520.0][..], &[0.0; 15]].concat();
    assert!(refused(pack_f16(&large, 4, 4).unwrap_err(), 0));
    assert!(pack_int8(&large, 4, 4, 4).is_ok());
    for (length, k, n, group) in [(15, 4, 4, 4), (12, 3, 4, 4), (12, 4, 3, 4), (16, 4, 4, 0), (16, 4, 4, 6)] {
        assert!(matches!(pack_int8(&vec![0.0; length], k, n, group), Err(PackError::Shape { .. })));
    }
    assert!(pack_int8(&[], 0, 4, 4).unwrap().words.is_empty());
}

#[test]
fn packed_words_are_laid_out_down_the_columns() {
    let weights: Vec<f32> = (0..16).map(|i| i as f32).collect();
    // Rows 0 and 1 of column 2.
    let half = |value: f32| u32::from(half_bits(value));
    assert_eq!(pack_f16(&weights, 4, 4).unwrap()[2], half(2.0) | half(6.0) << 16);
    let Int8 { words, scales } = pack_int8(&weights, 4, 4, 4).unwrap();
    assert_eq!(scales[3], 15.0 / 127.0);
    assert_eq!(words[3].to_le_bytes().map(|byte| byte as i8), [25, 59, 93, 127]);
    let negative: Vec<f32> = weights.iter().map(|weight| -weight).collect();
    let Int8 { words, .. } = pack_int8(&negative, 4, 4, 4).unwrap();
    assert_eq!(words[3].to_le_bytes().map(|byte| byte as i8), [-25, -59, -93, -127]);
}

/// Of a small whole number.
fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    (((bits >> 23) - 112) << 10 | (bits >> 13) & 0x3ff) as u16
}

/// Weights of `k` rows of `n`, ordinary ones and some of any size.
fn any_weights(largest: f32) -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
    let weight = prop_oneof![4 => -1.0_f32..1.0, 1 => -largest..largest, 1 => -1e-7_f32..1e-7, 1 => Just(0.0)];
    (1..6_usize, 1..4_usize)
        .prop_flat_map(move |(k, n)| (Just(4 * k), Just(4 * n), prop::collection::vec(weight.clone(), 16 * k * n)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Half a step of an 11-bit significand; half the smallest number below 2^-14.
    #[test]
    fn f16_is_off_by_half_a_step((k, n, weights) in any_weights(65_504.0)) {
        let back = unpack_f16(&pack_f16(&weights, k, n).unwrap(), n);
        prop_assert_eq!(back.len(), weights.len());
        for (weight, back) in weights.iter().zip(&back) {
            let step = (weight.abs() / 2048.0).max(2.0_f32.powi(-25));
            prop_assert!((weight - back).abs() <= step, "{} for {}", back, weight);
        }
    }

    #[test]
    fn int8_is_off_by_half_its_scale((k, n, weights) in any_weights(1e30), fours in 1..7_usize) {
        let group = 4 * fours;
        let packed = pack_int8(&weights, k, n, group).unwrap();
        prop_assert_eq!(packed.scales.len(), k.div_ceil(group) * n);
        let back = unpack_int8(&packed, n, group);
        prop_assert_eq!(back.len(), weights.len());
        for (index, (weight, back)) in weights.iter().zip(&back).enumerate() {
            let scale = packed.scales[index / n / group * n + index % n];
            // The scale itself is rounded, and so is its product.
            let most = 0.5 * scale * (1.0 + 1e-4) + f32::MIN_POSITIVE;
            prop_assert!((weight - back).abs() <= most, "{} for {}, scale {}", back, weight, scale);
        }
    }

    /// The largest of each column and group comes back as it was, but for rounding.
    #[test]
    fn int8_keeps_the_largest((k, n, weights) in any_weights(1e30)) {
        let back = unpack_int8(&pack_int8(&weights, k, n, k).unwrap(), n, k);
        for column in 0..n {
            let largest = |weights: &[f32]| (0..k).map(|row| weights[row * n + column].abs()).fold(0.0, f32::max);
            let (want, got) = (largest(&weights), largest(&back));
            prop_assert!((want - got).abs() <= 1e-6 * want + f32::MIN_POSITIVE, "{} for {}", got, want);
        }
    }
}
