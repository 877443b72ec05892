//! What the tests share.

/// So many numbers between -1 and 1, the same for the same seed.
pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9);
    let mut next = || {
        // Numerical Recipes' generator; its last bits are the poorest.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Whether `got` is `want`, but for sums of a hundred terms in f32.
pub fn close(got: f32, want: f64) -> bool {
    (f64::from(got) - want).abs() <= 1e-5 + 1e-5 * want.abs()
}
