//! Attention and what comes before it, against scalar definitions in f64.

mod gpu;

use gpu::{Gpu, Slot, assert_close, bits, gpu, noise};
use maetok_shaders::attention::{
    ATTENTION, Attention, LAYER_NORM, NO_NORM, PREPARE, Part, Prepare, RMS_NORM, TILED, Tiled, grid, parts,
};

/// Relative to the largest value: scores are sums of up to 128 products in f32, exponentials of the device differ by a few
/// units in the last place, and the weighted sum has as many terms as tokens. Worst measured on lavapipe: a quarter.
const BOUND: f64 = 4e-6;

/// Sizes of one case.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    tokens: usize,
    heads: usize,
    dim: usize,
}

impl Sizes {
    fn qkv(&self) -> usize {
        self.batch * self.tokens * 3 * self.heads * self.dim
    }

    /// Place of number 0 of a query (0), key (1) or value (2).
    fn at(&self, b: usize, t: usize, which: usize, h: usize) -> usize {
        (((b * self.tokens + t) * 3 + which) * self.heads + h) * self.dim
    }
}

/// Rotary positions: tables `[heads of the table, N, d/2]` and the first image token.
struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    heads: usize,
    patches: usize,
    first: usize,
}

impl Rotary {
    fn new(sizes: Sizes, heads: usize, patches: usize, first: usize) -> Self {
        assert!(first + patches <= sizes.tokens && (heads == 1 || heads == sizes.heads));
        let angles = noise(91, heads * patches * sizes.dim / 2);
        let of = |f: fn(f32) -> f32| angles.iter().map(|angle| f(30.0 * angle)).collect();
        Self { cos: of(f32::cos), sin: of(f32::sin), heads, patches, first }
    }

    /// The definition: adjacent pairs of image tokens turn.
    fn turn(&self, x: &mut [f64], token: usize, head: usize) {
        let Some(n) = token.checked_sub(self.first).filter(|n| *n < self.patches) else { return };
        let pairs = x.len() / 2;
        let table = ((head % self.heads) * self.patches + n) * pairs;
        for i in 0..pairs {
            let (c, s) = (f64::from(self.cos[table + i]), f64::from(self.sin[table + i]));
            let (even, odd) = (x[2 * i], x[2 * i + 1]);
            x[2 * i] = even * c - odd * s;
            x[2 * i + 1] = even * s + odd * c;
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// The definition: every query, one after the other.
fn attention(qkv: &[f64], sizes: Sizes) -> Vec<f64> {
    let Sizes { batch, tokens, heads, dim } = sizes;
    let row = |b, t, which, h| &qkv[sizes.at(b, t, which, h)..][..dim];
    let mut y = Vec::new();
    for b in 0..batch {
        for t in 0..tokens {
            for h in 0..heads {
                let dot = |j: usize| row(b, t, 0, h).iter().zip(row(b, j, 1, h)).map(|(q, k)| q * k).sum::<f64>();
                let scores: Vec<f64> = (0..tokens).map(|j| dot(j) / (dim as f64).sqrt()).collect();
                // As in plain ops a NaN is not skipped; it comes back in the exponentials.
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                y.extend((0..dim).map(|i| (0..tokens).map(|j| weights[j] / total * row(b, j, 2, h)[i]).sum::<f64>()));
            }
        }
    }
    y
}

/// Runs the form without barriers, in one dispatch.
fn plain(gpu: &Gpu, name: &str, qkv: &[f32], sizes: Sizes) -> Vec<f32> {
    let Sizes { batch, tokens, heads, dim } = sizes;
    let [part] = parts(batch as u32, tokens as u32, heads as u32, dim as u32)[..] else { panic!("more than one part") };
    plain_part(gpu, name, qkv, sizes, part)
}

/// Runs a part of it; what the others would write is left as it is.
fn plain_part(gpu: &Gpu, name: &str, qkv: &[f32], sizes: Sizes, Part { first, end }: Part) -> Vec<f32> {
    let Sizes { tokens, heads, dim, .. } = sizes;
    let scale = 1.0 / (dim as f32).sqrt();
    let params = Attention { tokens: tokens as u32, heads: heads as u32, dim: dim as u32, first, end, scale }.words();
    let slots = [Slot::In(&bits(qkv)), Slot::Out(qkv.len() / 3), Slot::In(&params)];
    gpu.run(name, ATTENTION.file, &slots, Part { first, end }.grid()).remove(0)
}

/// Runs the form with tiles.
fn tiled(gpu: &Gpu, name: &str, qkv: &[f32], sizes: Sizes, rotary: Option<&Rotary>) -> Vec<f32> {
    let Sizes { batch, tokens, heads, dim } = sizes;
    let text = TILED.text(&[("HEAD", &format!("{dim}u"))]);
    let none = Rotary { cos: vec![f32::NAN; 4], sin: vec![f32::NAN; 4], heads: 1, patches: 0, first: 0 };
    let rotary = rotary.unwrap_or(&none);
    let params = Tiled {
        tokens: tokens as u32,
        heads: heads as u32,
        scale: 1.0 / (dim as f32).sqrt(),
        first: rotary.first as u32,
        patches: rotary.patches as u32,
        table_heads: rotary.heads as u32,
    };
    let slots = [
        Slot::In(&bits(qkv)),
        Slot::In(&bits(&rotary.cos)),
        Slot::In(&bits(&rotary.sin)),
        Slot::Out(qkv.len() / 3),
        Slot::In(&params.words()),
    ];
    gpu.run(name, &text, &slots, grid(batch as u32, tokens as u32, heads as u32)).remove(0)
}

/// Runs the preparation in place.
fn prepared(
    gpu: &Gpu,
    name: &str,
    qkv: &[f32],
    sizes: Sizes,
    rotary: Option<&Rotary>,
    (norm, eps, affine): (u32, f32, &[f32]),
) -> Vec<f32> {
    let Sizes { batch, tokens, heads, dim } = sizes;
    let none = Rotary { cos: vec![f32::NAN; 4], sin: vec![f32::NAN; 4], heads: 1, patches: 0, first: 0 };
    let rotary = rotary.unwrap_or(&none);
    let rows = batch * tokens * 2 * heads;
    let params = Prepare {
        rows: rows as u32,
        tokens: tokens as u32,
        heads: heads as u32,
        dim: dim as u32,
        first: rotary.first as u32,
        patches: rotary.patches as u32,
        table_heads: rotary.heads as u32,
        norm,
        eps,
    };
    let slots = [
        Slot::InOut(&bits(qkv)),
        Slot::In(&bits(&rotary.cos)),
        Slot::In(&bits(&rotary.sin)),
        Slot::In(&bits(affine)),
        Slot::In(&params.words()),
    ];
    gpu.run(name, PREPARE.file, &slots, maetok_shaders::grid(rows.div_ceil(64) as u64)).remove(0)
}

/// Turns, and norms before that, what the definition then reads.
fn prepare(qkv: &[f32], sizes: Sizes, rotary: Option<&Rotary>, (norm, eps, affine): (u32, f32, &[f32])) -> Vec<f64> {
    let Sizes { batch, tokens, heads, dim } = sizes;
    let mut qkv = wide(qkv);
    for b in 0..batch {
        for t in 0..tokens {
            for which in 0..2 {
                for h in 0..heads {
                    let x = &mut qkv[sizes.at(b, t, which, h)..][..dim];
                    let mean = if norm == LAYER_NORM { x.iter().sum::<f64>() / dim as f64 } else { 0.0 };
                    let spread = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / dim as f64 + f64::from(eps);
                    if norm != NO_NORM {
                        for (i, x) in x.iter_mut().enumerate() {
                            let affine = |row: usize| f64::from(affine[(2 * which + row) * dim + i]);
                            *x = (*x - mean) / spread.sqrt() * affine(0)
                                + if norm == LAYER_NORM { affine(1) } else { 0.0 };
                        }
                    }
                    if let Some(rotary) = rotary {
                        rotary.turn(x, t, h);
                    }
                }
            }
        }
    }
    qkv
}

const AS_IT_IS: (u32, f32, &[f32]) = (NO_NORM, f32::NAN, &[f32::NAN; 4]);

/// One token, tiles of 4, 8 and 32 met, missed by one and exceeded by one, and the models' own sizes.
const CASES: &[(usize, usize, usize, usize)] = &[
    (1, 1, 1, 4),
    (1, 2, 1, 8),
    (2, 3, 3, 4),
    (1, 4, 2, 12),
    (1, 5, 2, 16),
    (1, 7, 1, 20),
    (3, 8, 2, 24),
    (1, 9, 1, 60),
    (2, 31, 3, 48),
    (2, 32, 4, 48),
    (1, 33, 2, 52),
    (2, 37, 2, 64),
    (1, 97, 3, 64),
    (2, 128, 2, 72),
    (1, 41, 2, 76),
    (1, 33, 1, 100),
    (1, 67, 2, 128),
    (1, 385, 1, 64),
];

/// Numbers of about 2.5 in size: scores spread over several units.
fn input(sizes: Sizes) -> Vec<f32> {
    noise(sizes.tokens as u32 + 7, sizes.qkv()).iter().map(|x| 2.5 * x).collect()
}

#[test]
fn both_forms_are_softmax_attention() {
    let Some(gpu) = gpu("both_forms_are_softmax_attention") else { return };
    for &(batch, tokens, heads, dim) in CASES {
        let sizes = Sizes { batch, tokens, heads, dim };
        let qkv = input(sizes);
        let want = attention(&wide(&qkv), sizes);
        for (form, got) in [
            ("attention", plain(gpu, "attention", &qkv, sizes)),
            ("attention_tiled", tiled(gpu, "attention_tiled", &qkv, sizes, None)),
        ] {
            assert_close(&format!("{form} {sizes:?}"), gpu, &got, &want, |_| 2.5 * BOUND);
        }
    }
}

#[test]
fn a_part_writes_its_own_queries_and_no_others() {
    let Some(gpu) = gpu("a_part_writes_its_own_queries_and_no_others") else { return };
    let sizes = Sizes { batch: 2, tokens: 21, heads: 3, dim: 8 };
    let qkv = input(sizes);
    let want = attention(&wide(&qkv), sizes);
    // Two tiles of queries to a head, six to a sample: from the second tile of the last head of the first sample on.
    let got = plain_part(gpu, "attention", &qkv, sizes, Part { first: 5, end: 8 });
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let (token, head) = (i / sizes.dim / sizes.heads, i / sizes.dim % sizes.heads);
        let tile = (token / sizes.tokens * sizes.heads + head) * 2 + token % sizes.tokens / 16;
        match (5..8).contains(&tile) {
            true => assert!((f64::from(*got) - want).abs() < 1e-4, "{got} for {want}, token {token}, head {head}"),
            false => assert!(got.is_nan(), "token {token}, head {head} is another part's"),
        }
    }
}

#[test]
fn image_tokens_turn_on_the_way_in_and_the_others_do_not() {
    let Some(gpu) = gpu("image_tokens_turn_on_the_way_in_and_the_others_do_not") else { return };
    for (sizes, table_heads, patches, first) in [
        ((1, 1, 1, 4), 1, 1, 0),
        ((2, 14, 2, 8), 2, 9, 1),
        ((2, 14, 3, 48), 1, 14, 0),
        ((1, 37, 3, 64), 3, 25, 1),
        ((2, 33, 2, 72), 2, 16, 0),
        ((1, 45, 2, 128), 1, 36, 9),
    ] {
        let sizes = Sizes { batch: sizes.0, tokens: sizes.1, heads: sizes.2, dim: sizes.3 };
        let rotary = Rotary::new(sizes, table_heads, patches, first);
        let qkv = input(sizes);
        let turned = prepare(&qkv, sizes, Some(&rotary), AS_IT_IS);
        let got = prepared(gpu, "qk_prepare", &qkv, sizes, Some(&rotary), AS_IT_IS);
        assert_close(&format!("qk_prepare {sizes:?}"), gpu, &got, &turned, |_| 1e-6);
        let want = attention(&turned, sizes);
        let both = [plain(gpu, "attention", &got, sizes), tiled(gpu, "attention_tiled", &qkv, sizes, Some(&rotary))];
        for (form, got) in ["qk_prepare, attention", "attention_tiled"].into_iter().zip(both) {
            assert_close(&format!("{form} turned {sizes:?}"), gpu, &got, &want, |_| 2.5 * BOUND);
        }
    }
}

#[test]
fn queries_and_keys_are_normed_each_with_its_own_weight() {
    let Some(gpu) = gpu("queries_and_keys_are_normed_each_with_its_own_weight") else { return };
    for (sizes, with_rotary) in
        [((1, 1, 1, 4), false), ((2, 7, 3, 8), true), ((1, 33, 4, 48), true), ((2, 5, 2, 72), false)]
    {
        let sizes = Sizes { batch: sizes.0, tokens: sizes.1, heads: sizes.2, dim: sizes.3 };
        let rotary = with_rotary.then(|| Rotary::new(sizes, 1, sizes.tokens - 1, 1));
        let affine = noise(5, 4 * sizes.dim);
        let qkv = input(sizes);
        for norm in [(LAYER_NORM, 1e-5, affine.as_slice()), (RMS_NORM, 1e-6, &affine)] {
            let want = prepare(&qkv, sizes, rotary.as_ref(), norm);
            let got = prepared(gpu, "qk_prepare", &qkv, sizes, rotary.as_ref(), norm);
            assert_close(&format!("qk_prepare norm {} {sizes:?}", norm.0), gpu, &got, &want, |_| 4e-6);
        }
    }
}

#[test]
fn scores_far_from_zero_do_not_overflow() {
    let Some(gpu) = gpu("scores_far_from_zero_do_not_overflow") else { return };
    // All scores far below or above zero and equal but for one key, which then has all the weight or none. The number
    // of tokens leaves keys over in every tile.
    let sizes = Sizes { batch: 1, tokens: 11, heads: 1, dim: 8 };
    for (q, k) in [(60.0, 60.0), (-60.0, 60.0), (1e4, 4e3), (-1e4, 4e3), (1e15, 1e15), (-1e15, 1e15)] {
        let mut qkv = noise(3, sizes.qkv());
        for t in 0..sizes.tokens {
            qkv[sizes.at(0, t, 0, 0)..][..sizes.dim].fill(q);
            qkv[sizes.at(0, t, 1, 0)..][..sizes.dim].fill(if t == 6 { 2.0 * k } else { k });
        }
        let want = attention(&wide(&qkv), sizes);
        for (form, got) in [
            ("attention", plain(gpu, "attention", &qkv, sizes)),
            ("attention_tiled", tiled(gpu, "attention_tiled", &qkv, sizes, None)),
        ] {
            assert_close(&format!("{form} {q} {k}"), gpu, &got, &want, |_| BOUND);
        }
    }
}

#[test]
fn nan_stays_in_the_queries_that_meet_it_and_infinities_give_no_numbers() {
    let Some(gpu) = gpu("nan_stays_in_the_queries_that_meet_it_and_infinities_give_no_numbers") else { return };
    let sizes = Sizes { batch: 2, tokens: 13, heads: 2, dim: 16 };
    let row = sizes.heads * sizes.dim;
    let run = |qkv: &[f32]| {
        [
            ("attention", plain(gpu, "attention", qkv, sizes)),
            ("attention_tiled", tiled(gpu, "attention_tiled", qkv, sizes, None)),
        ]
    };
    for (which, value) in [(0, f32::NAN), (1, f32::NAN), (2, f32::NAN), (0, f32::INFINITY), (1, f32::INFINITY)] {
        for t in [0, 5, 12] {
            let mut qkv = input(sizes);
            qkv[sizes.at(1, t, which, 1) + 3] = value;
            let want = attention(&wide(&qkv), sizes);
            assert!(want[..sizes.tokens * row].iter().all(|y| y.is_finite()), "the other sample");
            for (form, got) in run(&qkv) {
                assert_close(&format!("{form} {value} in {which} of {t}"), gpu, &got, &want, |_| 2.5 * BOUND);
            }
        }
    }
    // An infinite value: infinity, or NaN, and only in its column.
    for t in [0, 12] {
        let mut qkv = input(sizes);
        qkv[sizes.at(1, t, 2, 1) + 3] = f32::INFINITY;
        let want = attention(&wide(&qkv), sizes);
        for (form, got) in run(&qkv) {
            let same = got.iter().zip(&want).all(|(got, want)| got.is_finite() == want.is_finite());
            assert!(same, "{form}: an infinite value of token {t}");
        }
    }
}
