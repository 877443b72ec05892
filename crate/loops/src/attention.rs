//! Softmax attention over projected queries, keys and values.

use pulp::{Arch, Simd, WithSimd};

use crate::functions::{add, exponentials, normalize, scale};
use crate::product::{ROWS, columns, multiply, panel, write_panel, write_row, write_tiles};
use crate::threads::by_rows;

/// Queries whose scores are kept at a time.
const QUERIES: usize = 8 * ROWS;

/// Attention of all heads, with what is done to queries and keys before.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// `[B, T, 3D]`: queries, keys, values; heads side by side in each.
    pub qkv: &'a [f32],
    /// Tokens of a sample, `T`.
    pub tokens: usize,
    /// Numbers of a row of queries, `D`.
    pub width: usize,
    /// Numbers of a head, `d`.
    pub dim: usize,
    /// Norms over each head.
    pub norms: Option<Norms<'a>>,
    /// Rotary positions.
    pub turns: Option<Turns<'a>>,
}

/// Norm of queries and of keys.
#[derive(Clone, Copy, Debug)]
pub struct Norms<'a> {
    /// Factors, `[d]` each.
    pub weights: [&'a [f32]; 2],
    /// Summands, `[d]` each, of a layer norm; an RMS norm has none.
    pub biases: Option<[&'a [f32]; 2]>,
    /// Added to the mean square.
    pub eps: f32,
}

/// Rotary positions: pairs of neighbouring numbers turn.
#[derive(Clone, Copy, Debug)]
pub struct Turns<'a> {
    /// Cosines, `[A or 1, patches, d/2]`.
    pub cos: &'a [f32],
    /// Sines of the same shape.
    pub sin: &'a [f32],
    /// The first token that turns.
    pub first: usize,
    /// How many do.
    pub patches: usize,
    /// Every head has a table of its own.
    pub each: bool,
}

/// Writes values mixed by the softmax of `q k / sqrt(d)`, heads side by side, `[B, T, D]`.
///
/// # Panics
/// If the sizes do not fit together.
pub fn attention(heads: &Heads<'_>, y: &mut [f32]) {
    let Heads { qkv, tokens, width, dim, .. } = *heads;
    assert!(dim > 0 && width.is_multiple_of(dim) && tokens > 0, "heads of {dim} in {width}");
    assert!(qkv.len() == 3 * y.len() && y.len().is_multiple_of(tokens * width), "{tokens} tokens of {width}");
    let arch = Arch::new();
    by_rows(y, width, ROWS, 2 * y.len() * tokens, |first, mut y| {
        // A thread may have the end of one sample and the beginning of the next.
        let mut row = first;
        while !y.is_empty() {
            let (sample, query) = (row / tokens, row % tokens);
            let count = (tokens - query).min(y.len() / width);
            let (here, rest) = y.split_at_mut(count * width);
            arch.dispatch(Queries { heads, sample, query, y: here });
            (row, y) = (row + count, rest);
        }
    });
}

/// The parts of a row.
const QUERY: usize = 0;
const KEY: usize = 1;
const VALUE: usize = 2;

impl Heads<'_> {
    /// Queries or keys of a head, from `token` on, as many as there is room for: normed and turned.
    #[inline(always)]
    fn prepare(&self, part: usize, sample: usize, head: usize, token: usize, out: &mut [f32]) {
        let Self { dim, width, .. } = *self;
        let rows = self.qkv[(sample * self.tokens + token) * 3 * width..].chunks_exact(3 * width);
        for ((at, out), row) in out.chunks_exact_mut(dim).enumerate().zip(rows) {
            out.copy_from_slice(&row[part * width + head * dim..][..dim]);
            if let Some(norms) = &self.norms {
                normalize(out, norms.biases.is_some(), norms.eps);
                scale(out, norms.weights[part]);
                if let Some(biases) = norms.biases {
                    add(out, biases[part]);
                }
            }
            if let Some(turns) = &self.turns
                && let Some(patch) = (token + at).checked_sub(turns.first).filter(|patch| *patch < turns.patches)
            {
                let table = if turns.each { head * turns.patches } else { 0 };
                let start = (table + patch) * dim / 2;
                let angles = turns.cos[start..][..dim / 2].iter().zip(&turns.sin[start..][..dim / 2]);
                for (pair, (cos, sin)) in out.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                    let [a, b] = *pair;
                    *pair = [a * cos - b * sin, a * sin + b * cos];
                }
            }
        }
    }
}

/// Some queries of a sample, from `query` on, in all heads.
struct Queries<'a> {
    heads: &'a Heads<'a>,
    sample: usize,
    query: usize,
    y: &'a mut [f32],
}

impl WithSimd for Queries<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads, sample, query, y } = self;
        let Heads { qkv, tokens, width, dim, .. } = *heads;
        let most = QUERIES.min(y.len() / width);
        let across = columns::<S>();
        let stride = tokens.next_multiple_of(across);
        let mut keys = vec![0.0; tokens * dim];
        let mut turned = vec![0.0; dim * stride]; // [d, T] and some zeros
        let (mut key_room, mut value_room) = (Vec::new(), Vec::new());
        // As many as hold a head.
        let key_panels = panel::<S>(&mut key_room, tokens.div_ceil(across) * dim);
        let each_key = key_panels.len() / tokens.div_ceil(across);
        let value_panels = panel::<S>(&mut value_room, dim.div_ceil(across) * tokens);
        let each_value = value_panels.len() / dim.div_ceil(across);
        let mut queries = vec![0.0; most * dim];
        let mut scores = vec![0.0; most * tokens];
        let mut tiles = Vec::new();
        let mut sums = [0.0; QUERIES];
        let factor = 1.0 / (dim as f32).sqrt();
        let rows = &qkv[sample * tokens * 3 * width..][..tokens * 3 * width];
        for head in 0..width / dim {
            heads.prepare(KEY, sample, head, 0, &mut keys);
            for (token, key) in keys.chunks_exact(dim).enumerate() {
                for (out, key) in turned[token..].iter_mut().step_by(stride).zip(key) {
                    *out = *key;
                }
            }
            for (at, panel) in key_panels.chunks_exact_mut(each_key).enumerate() {
                write_panel::<S>(&turned, stride, stride, at * across, panel);
            }
            for (at, panel) in value_panels.chunks_exact_mut(each_value).enumerate() {
                write_panel::<S>(&rows[VALUE * width + head * dim..], 3 * width, dim, at * across, panel);
            }
            for (block, y) in y.chunks_mut(QUERIES * width).enumerate() {
                let count = y.len() / width;
                let queries = &mut queries[..count * dim];
                heads.prepare(QUERY, sample, head, query + block * QUERIES, queries);
                for x in &mut *queries {
                    *x *= factor;
                }
                write_tiles(queries, dim, &mut tiles);
                let scores = &mut scores[..count * tokens];
                for (at, key_panel) in key_panels.chunks_exact(each_key).enumerate() {
                    let first = at * across;
                    let here = across.min(tokens - first);
                    for (tile, scores) in tiles.chunks_exact(ROWS * dim).zip(scores.chunks_mut(ROWS * tokens)) {
                        let products = multiply(simd, tile, key_panel);
                        for (products, scores) in products.iter().zip(scores.chunks_exact_mut(tokens)) {
                            write_row::<S>(products, &mut scores[first..first + here]);
                        }
                    }
                }
                for (sum, scores) in sums.iter_mut().zip(scores.chunks_exact_mut(tokens)) {
                    *sum = exponentials(scores);
                }
                write_tiles(scores, tokens, &mut tiles);
                for (at, panel) in value_panels.chunks_exact(each_value).enumerate() {
                    let column = head * dim + at * across;
                    let here = across.min(dim - at * across);
                    let groups = y.chunks_mut(ROWS * width).zip(sums.chunks(ROWS));
                    for (tile, (y, sums)) in tiles.chunks_exact(ROWS * tokens).zip(groups) {
                        let products = multiply(simd, tile, panel);
                        for ((products, y), sum) in products.iter().zip(y.chunks_exact_mut(width)).zip(sums) {
                            let y = &mut y[column..column + here];
                            write_row::<S>(products, y);
                            for x in y {
                                *x /= sum;
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, numbers};
    use proptest::prelude::*;

    /// The formula in f64, for one number: of `sample`, `query`, `head`, place `at` in it.
    fn formula(heads: &Heads<'_>, sample: usize, query: usize, head: usize, at: usize) -> f64 {
        let Heads { qkv, tokens, width, dim, turns, norms } = *heads;
        let vector = |part: usize, token: usize| -> Vec<f64> {
            let start = (sample * tokens + token) * 3 * width + part * width + head * dim;
            let mut x: Vec<f64> = qkv[start..start + dim].iter().map(|x| f64::from(*x)).collect();
            if let Some(norms) = norms.filter(|_| part != VALUE) {
                let mean = if norms.biases.is_some() { x.iter().sum::<f64>() / dim as f64 } else { 0.0 };
                let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / dim as f64;
                for (i, x) in x.iter_mut().enumerate() {
                    *x = (*x - mean) / (square + f64::from(norms.eps)).sqrt() * f64::from(norms.weights[part][i])
                        + norms.biases.map_or(0.0, |biases| f64::from(biases[part][i]));
                }
            }
            if let Some(turns) = turns.filter(|t| part != VALUE && (t.first..t.first + t.patches).contains(&token)) {
                for pair in 0..dim / 2 {
                    let table = if turns.each { head } else { 0 };
                    let i = (table * turns.patches + token - turns.first) * dim / 2 + pair;
                    let (cos, sin) = (f64::from(turns.cos[i]), f64::from(turns.sin[i]));
                    let (a, b) = (x[2 * pair], x[2 * pair + 1]);
                    (x[2 * pair], x[2 * pair + 1]) = (a * cos - b * sin, a * sin + b * cos);
                }
            }
            x
        };
        let asked = vector(QUERY, query);
        let weights: Vec<f64> = (0..tokens)
            .map(|token| {
                let dot: f64 = asked.iter().zip(vector(KEY, token)).map(|(q, k)| q * k).sum();
                (dot / (dim as f64).sqrt()).exp()
            })
            .collect();
        let mixed: f64 = weights.iter().enumerate().map(|(token, weight)| weight * vector(VALUE, token)[at]).sum();
        mixed / weights.iter().sum::<f64>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Larger ones are shared among threads, whose rows then begin within a sample.
        #[test]
        fn any_size_gives_the_numbers_of_the_formula(
            (samples, tokens) in (1_usize..4, 1_usize..100), (count, half) in (1_usize..4, 1_usize..36),
            turned in any::<bool>(), each in any::<bool>(), kind in 0..3,
        ) {
            let (dim, width) = (2 * half, 2 * half * count);
            let qkv = numbers(samples * tokens * 3 * width, 1);
            let (cos, sin) = (numbers(count * tokens * half, 2), numbers(count * tokens * half, 3));
            let rows = numbers(4 * dim, 4);
            let rows: Vec<&[f32]> = rows.chunks(dim).collect();
            let biases = (kind == 1).then_some([rows[2], rows[3]]);
            let heads = Heads {
                qkv: &qkv, tokens, width, dim,
                norms: (kind > 0).then_some(Norms { weights: [rows[0], rows[1]], biases, eps: 1e-5 }),
                turns: turned.then_some(Turns { cos: &cos, sin: &sin, first: tokens / 3, patches: tokens / 2, each }),
            };
            let mut y = vec![f32::NAN; samples * tokens * width];
            attention(&heads, &mut y);
            // All of them would take a while.
            for at in (0..y.len()).step_by((y.len() / 29).max(1)).chain([y.len() - 1]) {
                let (row, column) = (at / width, at % width);
                let want = formula(&heads, row / tokens, row % tokens, column / dim, column % dim);
                prop_assert!(close(y[at], want), "{at}: {}, not {want}", y[at]);
            }
        }
    }

    #[test]
    fn a_number_that_is_none_in_a_query_stays_in_its_row_and_head() {
        let mut qkv = numbers(5 * 3 * 8, 1);
        qkv[2 * 24 + 1] = f32::NAN;
        let mut y = [0.0; 5 * 8];
        attention(&Heads { qkv: &qkv, tokens: 5, width: 8, dim: 4, norms: None, turns: None }, &mut y);
        for (at, y) in y.iter().enumerate() {
            assert_eq!(y.is_nan(), (16..20).contains(&at), "{at}");
        }
    }
}
