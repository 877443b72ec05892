//! What is done number by number, or along a row, without a branch, so that the compiler makes vectors of it.
//!
//! Everything is inlined into a `with_simd`, the function that has the machine's instructions. Closures given to pulp or
//! to `for_each` the compiler may leave outside, where they are three times slower.

/// What a number goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// `x/2 (1 + erf(x/sqrt 2))`
    GeluExact,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`
    GeluTanh,
    /// `x / (1 + exp(-x))`
    Silu,
}

/// Sums that run side by side along a row: as many as the widest vector holds.
const LANES: usize = 16;

/// `e^x`, within 2 units in the last place; saturates where the result would be infinite or subnormal, NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // What is added and taken away again leaves the nearest integer, which then stands in the last bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    // ln 2 in two parts: the first has few digits, so that its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Comparisons instead of `clamp`, which would make a number of NaN in vectors.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * LN_2[0]) - whole * LN_2[1];
    // Cephes' polynomial for |rest| <= ln(2) / 2.
    let mut sum = 1.987_569_1e-4;
    for term in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum * rest + term;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    (sum * rest * rest + rest + 1.0) * power
}

/// `x / (1 + exp(-z))`
#[inline(always)]
fn gated(x: f32, z: f32) -> f32 {
    x / (1.0 + exp(-z))
}

/// `x/2 (1 + erf(x/sqrt 2))`. The complement of erf is a polynomial times an exponential (Abramowitz and Stegun 7.1.26, error at
/// most 1.5e-7), used as it is on the negative side, so that nothing cancels there.
#[inline(always)]
fn gelu_exact(x: f32) -> f32 {
    let size = x.abs();
    // Beyond, the tail is nothing; infinity times nothing would be no number.
    let size = if size > 30.0 { 30.0 } else { size };
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * size);
    let mut sum = 1.061_405_4;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum * t + term;
    }
    let tail = 0.5 * sum * t * exp(-0.5 * x * x);
    (if x > 0.0 { x } else { 0.0 }) - size * tail
}

/// `x/2 (1 + tanh(u))` is `x / (1 + exp(-2u))`.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    gated(x, TWICE_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))
}

/// Puts every number through the activation.
#[inline(always)]
pub fn activate(activation: Activation, row: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::GeluExact => {
            for x in row {
                *x = gelu_exact(*x);
            }
        }
        Activation::GeluTanh => {
            for x in row {
                *x = gelu_tanh(*x);
            }
        }
        Activation::Silu => {
            for x in row {
                *x = gated(*x, *x);
            }
        }
    }
}

/// `summands` added to `row`.
#[inline(always)]
pub fn add(row: &mut [f32], summands: &[f32]) {
    for (x, summand) in row.iter_mut().zip(summands) {
        *x += summand;
    }
}

/// Folds a row in lanes that run side by side, then the lanes.
#[inline(always)]
fn fold(row: &[f32], start: f32, mut step: impl FnMut(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for chunk in whole {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, *x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = step(*lane, *x);
    }
    let mut all = start;
    for lane in lanes {
        all = join(all, lane);
    }
    all
}

/// Sum of a row.
#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    fold(row, 0.0, |sum, x| sum + x, |a, b| a + b)
}

/// Makes a row of scores weights that still have to be divided by their sum, which is returned.
#[inline(always)]
pub fn exponentials(row: &mut [f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let most = fold(row, f32::NEG_INFINITY, greater, greater);
    for x in &mut *row {
        *x = exp(*x - most);
    }
    sum(row)
}

/// Layer norm of a row in place, or RMS norm where it is not centred.
#[inline(always)]
pub fn normalize(row: &mut [f32], centred: bool, eps: f32) {
    let count = row.len() as f32;
    if centred {
        let mean = sum(row) / count;
        for x in &mut *row {
            *x -= mean;
        }
    }
    let square = fold(row, 0.0, |sum, x| sum + x * x, |a, b| a + b) / count;
    let factor = 1.0 / (square + eps).sqrt();
    for x in row {
        *x *= factor;
    }
}

/// `row * (base + scale) + shift`
#[inline(always)]
pub fn modulate(row: &mut [f32], base: f32, scale: &[f32], shift: &[f32]) {
    for ((x, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
        *x = *x * (base + scale) + shift;
    }
}

/// Factors of a row.
#[inline(always)]
pub fn scale(row: &mut [f32], factors: &[f32]) {
    for (x, factor) in row.iter_mut().zip(factors) {
        *x *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_exponential_is_right_to_the_last_digits(x in -87.0_f32..88.0) {
            let want = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) / want - 1.0).abs() < 2.5e-7, "exp({x}) = {}, not {want}", exp(x));
        }

        #[test]
        fn activations_are_those_of_their_formulas(x in -30.0_f32..30.0) {
            let wide = f64::from(x);
            let tanh = (std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2
                * (wide + 0.044715 * wide.powi(3))).tanh();
            for (kind, want, close) in [
                (Activation::GeluExact, wide / 2.0 * libm::erfc(-wide / std::f64::consts::SQRT_2), 3e-7),
                (Activation::GeluTanh, wide / 2.0 * (1.0 + tanh), 3e-7),
                (Activation::Silu, wide / (1.0 + (-wide).exp()), 3e-7),
                (Activation::Identity, wide, 0.0),
            ] {
                let mut row = [x];
                activate(kind, &mut row);
                let error = (f64::from(row[0]) - want).abs();
                prop_assert!(error <= close * (1.0 + wide.abs()), "{kind:?}({x}) = {}, not {want}", row[0]);
            }
        }

        #[test]
        fn rows_of_any_length_are_summed_whole(row in prop::collection::vec(-1.0_f32..1.0, 1..70)) {
            let want: f64 = row.iter().map(|x| f64::from(*x)).sum();
            prop_assert!((f64::from(sum(&row)) - want).abs() < 1e-5);
            let mut weights = row.clone();
            let total = exponentials(&mut weights);
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            let want: f64 = row.iter().map(|x| f64::from(*x - most).exp()).sum();
            prop_assert!((f64::from(total) / want - 1.0).abs() < 1e-6, "{total}, not {want}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::INFINITY) > 1e38 && exp(f32::NEG_INFINITY) < 1e-37);
        for kind in [Activation::GeluExact, Activation::GeluTanh, Activation::Silu] {
            let mut row = [f32::NAN, f32::INFINITY, 1.0];
            activate(kind, &mut row);
            assert!(row[0].is_nan() && row[1] == f32::INFINITY && row[2].is_finite(), "{kind:?}: {row:?}");
        }
        let mut row = [0.0, f32::NAN, 1.0];
        assert!(exponentials(&mut row).is_nan());
    }
}
