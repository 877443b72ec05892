//! Matrix products in tiles of four rows by two vectors, which stay in registers while the sum runs.
//!
//! In Chromium these loops are half as fast again as the `gemm` crate's, natively as fast. What matters there: both
//! factors are read in one stream each, the loop is short, and nothing is unrolled, since the browser's compiler then
//! keeps sums in memory.

use pulp::Simd;

/// Rows of a tile.
pub const ROWS: usize = 4;
/// Vectors of a tile, side by side.
const VECTORS: usize = 2;

/// Columns of a tile.
#[inline(always)]
pub const fn columns<S: Simd>() -> usize {
    VECTORS * size_of::<S::f32s>() / size_of::<f32>()
}

/// Writes rows of `k` numbers as tiles: for each place in the sum, the numbers of four rows side by side. Where the rows
/// end within a tile, the last one stands in for the missing.
#[inline(always)]
pub fn write_tiles(rows: &[f32], k: usize, tiles: &mut Vec<f32>) {
    let count = rows.len() / k;
    tiles.resize(count.div_ceil(ROWS) * ROWS * k, 0.0);
    for (tile, out) in tiles.chunks_exact_mut(ROWS * k).enumerate() {
        let [a, b, c, d]: [&[f32]; ROWS] = std::array::from_fn(|row| {
            let row = (tile * ROWS + row).min(count - 1);
            &rows[row * k..][..k]
        });
        for (at, out) in out.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            *out = [a[at], b[at], c[at], d[at]];
        }
    }
}

/// Numbers of a cache line, which the widest vectors fill.
const LINE: usize = 16;

/// `count` numbers that begin with a cache line, in `room`.
#[inline(always)]
pub fn aligned(room: &mut Vec<f32>, count: usize) -> &mut [f32] {
    room.resize(count + LINE, 0.0);
    let start = room.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    &mut room[start..start + count]
}

/// A panel of `k` places in the sum by the columns of a tile, in `room`.
#[inline(always)]
pub fn panel<S: Simd>(room: &mut Vec<f32>, k: usize) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(aligned(room, k * columns::<S>())).0
}

/// Writes the columns from `first` on of a matrix with rows of `stride` numbers, of which `width` count, as a panel.
/// Columns beyond are zeros.
#[inline(always)]
pub fn write_panel<S: Simd>(matrix: &[f32], stride: usize, width: usize, first: usize, panel: &mut [S::f32s]) {
    let columns = columns::<S>();
    let places = panel.as_chunks_mut::<VECTORS>().0.iter_mut();
    if first + columns <= width {
        for (place, row) in places.zip(matrix.chunks(stride)) {
            place.copy_from_slice(S::as_simd_f32s(&row[first..first + columns]).0);
        }
    } else {
        for (place, row) in places.zip(matrix.chunks(stride)) {
            let place: &mut [f32] = bytemuck::cast_slice_mut(place);
            let (there, beyond) = place.split_at_mut(width - first);
            there.copy_from_slice(&row[first..width]);
            beyond.fill(0.0);
        }
    }
}

/// A tile of the product: a tile of the left factor by a panel of the right.
#[inline(always)]
pub fn multiply<S: Simd>(simd: S, tile: &[f32], panel: &[S::f32s]) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (left, right) in tile.as_chunks::<ROWS>().0.iter().zip(panel.as_chunks::<VECTORS>().0) {
        for (sums, left) in sums.iter_mut().zip(left) {
            let left = simd.splat_f32s(*left);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add_e_f32s(left, *right, *sum);
            }
        }
    }
    sums
}

/// Writes a row of a tile, or as much of it as there are columns.
#[inline(always)]
pub fn write_row<S: Simd>(sums: &[S::f32s; VECTORS], out: &mut [f32]) {
    match S::as_mut_simd_f32s(out).0 {
        [a, b] => [*a, *b] = *sums,
        _ => out.copy_from_slice(&bytemuck::cast_slice(sums)[..out.len()]),
    }
}
