//! Packed weights as f32: for whoever wants the matrix itself, where the other linear kernels read it as it is packed.
//!
//!   y[k,n] = w[k,n] * scale[k / group, n], without the scale unless w is int8
//!
//! shapes    y [K, N] row-major f32; K and N multiples of 4.
//!           w as the host packs it (src/linear.rs): f32 [K, N]; f16, two rows of a column in a u32 [K/2, N]; int8,
//!           four rows of a column in a u32 [K/4, N]. For a scale without use, any 16 bytes do
//! grid      one invocation per four rows of four columns, 64 to a workgroup, workgroups numbered over x and y
//! memory    none
//! numbers   f32 and f16 exactly, int8 rounded once, by its scale
//! defined   src/linear.rs, `unpack_f16` and `unpack_int8`   packed by   src/linear.rs
//! source    the layouts are ours; f16 is binary16 of IEEE 754-2019

// The host swaps the value of this line.
const WEIGHTS = F32;        // how w is stored: F32, F16 or INT8

const F32 = 0u; const F16 = 1u; const INT8 = 2u;

struct Params {                 // layout checked by tests/valid.rs
    n: u32, k: u32,
    group: u32,                 // rows of w under one scale, a multiple of 4; k where there is one group
}

@group(0) @binding(0) var<storage, read>       w:        array<vec4<u32>>;   // [K, N], [K/2, N] or [K/4, N] words
@group(0) @binding(1) var<storage, read>       scale:    array<vec4<f32>>;   // [ceil(K / group), N]
@group(0) @binding(2) var<storage, read_write> y:        array<vec4<f32>>;   // [K, N]
@group(0) @binding(3) var<storage, read>       params:   Params;

// As in the three linear kernels, from here (tests/linear.rs compares).

/// The f16 in the upper halves, by integer arithmetic: exact on every adapter. unpack2x16float may read numbers below
/// 2^-14 as 0, and wgpu refuses it on adapters of Mesa without f16. Infinity and NaN do not occur in weights.
fn half(words: vec4<u32>) -> vec4<f32> {
    let magnitude = (words & vec4<u32>(0x7fff0000u)) >> vec4<u32>(3u);
    let normal = magnitude + vec4<u32>(0x38000000u);        // exponents count from -15 there, from -127 here
    let below = bitcast<vec4<f32>>(magnitude + vec4<u32>(0x38800000u)) - 0x1p-14f;
    let unsigned = select(normal, bitcast<vec4<u32>>(below), magnitude < vec4<u32>(0x00800000u));
    return bitcast<vec4<f32>>(unsigned | (words & vec4<u32>(0x80000000u)));
}

/// Rows 4 * quad .. 4 * quad + 3 of four columns of the weights, in f32, before any scale.
fn weights(quad: u32, column: u32, columns: u32) -> mat4x4<f32> {
    if WEIGHTS == F32 {
        let at = 4u * quad * columns + column;
        return mat4x4<f32>(bitcast<vec4<f32>>(w[at]), bitcast<vec4<f32>>(w[at + columns]),
                           bitcast<vec4<f32>>(w[at + 2u * columns]), bitcast<vec4<f32>>(w[at + 3u * columns]));
    }
    if WEIGHTS == F16 {
        let upper = w[2u * quad * columns + column];
        let lower = w[(2u * quad + 1u) * columns + column];
        return mat4x4<f32>(half(upper << vec4<u32>(16u)), half(upper), half(lower << vec4<u32>(16u)), half(lower));
    }
    // Shift the byte to the top, then down again as a signed number.
    let bytes = bitcast<vec4<i32>>(w[quad * columns + column]);
    return mat4x4<f32>(vec4<f32>((bytes << vec4<u32>(24u)) >> vec4<u32>(24u)),
                       vec4<f32>((bytes << vec4<u32>(16u)) >> vec4<u32>(24u)),
                       vec4<f32>((bytes << vec4<u32>(8u)) >> vec4<u32>(24u)),
                       vec4<f32>(bytes >> vec4<u32>(24u)));
}

/// The rows, each times the scales of its columns.
fn scaled(rows: mat4x4<f32>, s: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(rows[0] * s, rows[1] * s, rows[2] * s, rows[3] * s);
}

// To here.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let columns = params.n / 4u;
    let id = (workgroup.x + workgroup.y * grid.x) * 64u + lane;
    if id >= columns * (params.k / 4u) { return; }
    let quad = id / columns;
    let column = id % columns;
    var rows = weights(quad, column, columns);
    if WEIGHTS == INT8 {
        let group = max(params.group / 4u, 1u);
        rows = scaled(rows, scale[(quad / group) * columns + column]);
    }
    let at = 4u * quad * columns + column;
    y[at] = rows[0];
    y[at + columns] = rows[1];
    y[at + 2u * columns] = rows[2];
    y[at + 3u * columns] = rows[3];
}
