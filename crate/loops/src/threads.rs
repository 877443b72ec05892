//! Rows shared among threads.

#[cfg(not(target_family = "wasm"))]
use rayon::prelude::*;

/// Multiplications below which waking another thread costs more than it saves.
#[cfg(not(target_family = "wasm"))]
const WORTH_SHARING: usize = 1 << 20;

/// Calls `fill` with the index of a first row and that row and some after it, until all rows of `out`, `width` numbers
/// each, were filled. What one thread gets is a multiple of `group` rows, except at the end. `work` is how many
/// multiplications that takes in all.
#[cfg(not(target_family = "wasm"))]
pub fn by_rows(out: &mut [f32], width: usize, group: usize, work: usize, fill: impl Fn(usize, &mut [f32]) + Sync) {
    let threads = if work < WORTH_SHARING { 1 } else { rayon::current_num_threads() };
    let rows = out.len() / width;
    let each = rows.div_ceil(group).div_ceil(threads) * group;
    if each >= rows {
        return fill(0, out);
    }
    out.par_chunks_mut(each * width).enumerate().for_each(|(part, out)| fill(part * each, out));
}

/// In the browser there is one thread.
#[cfg(target_family = "wasm")]
pub fn by_rows(out: &mut [f32], _width: usize, _group: usize, _work: usize, fill: impl Fn(usize, &mut [f32]) + Sync) {
    fill(0, out);
}
