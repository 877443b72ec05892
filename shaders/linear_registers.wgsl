//! Linear layer with what follows it, without barriers: for software and small adapters.
//!
//!   value[m,n] = act(sum_k x[m,k] * w[k,n] * scale[k / group, n] + bias[n])
//!   y[m,n]     = residual[m % residual_rows, n] + gate[m / rows_per_sample, n] * value[m,n], or value alone
//!
//! shapes    x [M, K], y [M, N] row-major f32; K and N multiples of 4; M any.
//!           w as the host packs it (src/linear.rs): f32 [K, N]; f16, two rows of a column in a u32 [K/2, N]; int8,
//!           four rows of a column in a u32 [K/4, N]. For scale, bias, residual or gate without use, any 16 bytes do
//! grid      one workgroup of 8 x 8 invocations per 128 rows x 128 columns, 16 x 16 outputs each; numbered over x and y
//!           from first
//! memory    no workgroup memory; 64 vec4 of sums in named registers (an array indexed by a loop is 10 times slower on
//!           software adapters, whose loads cost as much as dozens of multiply-adds: hence so many sums to each)
//! numbers   sums in f32 for every storage; four terms of k at a time, as a matrix times a vector, which software
//!           adapters do twice as fast as fused multiply-adds one by one. f16 is read exactly. GELU is within 1e-6 absolute up to |x| = 4, relative to x beyond
//! defined   tests/linear.rs, `definition`   packed by   src/linear.rs
//! source    a linear layer as in Vaswani et al. 2017, arXiv 1706.03762; gates: Peebles & Xie 2022, arXiv 2212.09748,
//!           section 3.2 (adaLN-Zero), and LayerScale, Touvron et al. 2021, arXiv 2103.17239

// The host swaps the values of these lines.
const WEIGHTS = F32;        // how w is stored: F32, F16 or INT8
const BIAS = true;          // whether bias is added
const ACTIVATION = IDENTITY;    // IDENTITY, GELU_EXACT, GELU_TANH or SILU
const RESIDUAL = NONE;      // NONE: y = value; ADDED: residual + value; GATED: residual + gate * value

const F32 = 0u; const F16 = 1u; const INT8 = 2u;
const IDENTITY = 0u; const GELU_EXACT = 1u; const GELU_TANH = 2u; const SILU = 3u;
const NONE = 0u; const ADDED = 1u; const GATED = 2u;

struct Params {                 // layout checked by tests/valid.rs
    m: u32, n: u32, k: u32,
    group: u32,                 // rows of w under one scale, a multiple of 4; k where there is one group
    residual_rows: u32,         // residual starts over after so many rows; m where it has a row for each
    rows_per_sample: u32,       // rows of y under one row of gates; m where there is one
    gate_stride: u32,           // from one row of gates to the next, in floats, a multiple of 4
    gate_offset: u32,           // where the first gate stands, in floats, a multiple of 4
    first: u32,                 // number of this dispatch's first workgroup; 0 where one dispatch does it all
}

@group(0) @binding(0) var<storage, read>       x:        array<vec4<f32>>;   // [M, K]
@group(0) @binding(1) var<storage, read>       w:        array<vec4<u32>>;   // [K, N], [K/2, N] or [K/4, N] words
@group(0) @binding(2) var<storage, read>       scale:    array<vec4<f32>>;   // [ceil(K / group), N]
@group(0) @binding(3) var<storage, read>       bias:     array<vec4<f32>>;   // [N]
@group(0) @binding(4) var<storage, read>       residual: array<vec4<f32>>;   // [residual_rows, N]
@group(0) @binding(5) var<storage, read>       gate:     array<vec4<f32>>;   // [ceil(M / rows_per_sample), gate_stride]
@group(0) @binding(6) var<storage, read_write> y:        array<vec4<f32>>;   // [M, N]
@group(0) @binding(7) var<storage, read>       params:   Params;

// The same in the three linear kernels, from here (tests/linear.rs compares).

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

/// x * (1 + erf(x / sqrt 2)) / 2. The complement of erf is a polynomial in t times exp(-x^2 / 2) (Abramowitz & Stegun
/// 7.1.26, |error of erf| <= 1.5e-7); used as it is on the negative side, so that nothing cancels there.
fn gelu_exact(x: vec4<f32>) -> vec4<f32> {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / fma(vec4<f32>(0.3275911), z, vec4<f32>(1.0));
    var p = fma(t, vec4<f32>(1.061405429), vec4<f32>(-1.453152027));
    p = fma(t, p, vec4<f32>(1.421413741));
    p = fma(t, p, vec4<f32>(-0.284496736));
    p = fma(t, p, vec4<f32>(0.254829592));
    let tail = 0.5 * t * p * exp(-z * z);
    return x * select(tail, 1.0 - tail, x > vec4<f32>(0.0));
}

/// x * (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), written as x / (1 + exp(-2 u)): an adapter's
/// tanh may overflow where this only saturates.
fn gelu_tanh(x: vec4<f32>) -> vec4<f32> {
    let u2 = 1.5957691 * x * fma(0.044715 * x, x, vec4<f32>(1.0));
    return x / (1.0 + exp(-u2));
}

/// What follows the sum, for four columns of one row.
fn finish(sum: vec4<f32>, row: u32, column: u32, columns: u32) -> vec4<f32> {
    var value = sum;
    if BIAS { value += bias[column]; }
    if ACTIVATION == GELU_EXACT { value = gelu_exact(value); }
    if ACTIVATION == GELU_TANH { value = gelu_tanh(value); }
    if ACTIVATION == SILU { value = value / (1.0 + exp(-value)); }
    if RESIDUAL == NONE { return value; }
    let old = residual[(row % params.residual_rows) * columns + column];
    if RESIDUAL == ADDED { return old + value; }
    let at = (params.gate_offset + (row / params.rows_per_sample) * params.gate_stride) / 4u + column;
    return fma(gate[at], value, old);
}

// To here.

/// Stores the sums of one row; those past the last column are left out.
fn keep(row: u32, column: u32, columns: u32, s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32>) {
    let at = row * columns + column;
    y[at] = s0;
    if column + 1u < columns { y[at + 1u] = s1; }
    if column + 2u < columns { y[at + 2u] = s2; }
    if column + 3u < columns { y[at + 3u] = s3; }
}

/// Four rows of four columns of the weights, in f32, with their scales.
fn four(quad: u32, column: u32, columns: u32, group: u32) -> mat4x4<f32> {
    let rows = weights(quad, column, columns);
    if WEIGHTS == INT8 { return scaled(rows, scale[(quad / group) * columns + column]); }
    return rows;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_id) lane: vec3<u32>) {
    let columns = params.n / 4u;
    let quads = params.k / 4u;
    let group = max(params.group / 4u, 1u);
    // Tiles down the rows first: workgroups that run at the same time share a strip of w, the larger operand.
    let tile = params.first + workgroup.x + workgroup.y * grid.x;
    let tiles_down = (params.m + 127u) / 128u;
    let row = (tile % tiles_down) * 128u + lane.y * 16u;
    let column = (tile / tiles_down) * 32u + lane.x * 4u;
    if row >= params.m || column >= columns { return; }

    // Rows and columns past the end repeat the last one, and are not written.
    let last = params.m - 1u;
    let c1 = min(column + 1u, columns - 1u);
    let c2 = min(column + 2u, columns - 1u);
    let c3 = min(column + 3u, columns - 1u);
    let x0 = min(row + 0u, last) * quads;
    let x1 = min(row + 1u, last) * quads;
    let x2 = min(row + 2u, last) * quads;
    let x3 = min(row + 3u, last) * quads;
    let x4 = min(row + 4u, last) * quads;
    let x5 = min(row + 5u, last) * quads;
    let x6 = min(row + 6u, last) * quads;
    let x7 = min(row + 7u, last) * quads;
    let x8 = min(row + 8u, last) * quads;
    let x9 = min(row + 9u, last) * quads;
    let xa = min(row + 10u, last) * quads;
    let xb = min(row + 11u, last) * quads;
    let xc = min(row + 12u, last) * quads;
    let xd = min(row + 13u, last) * quads;
    let xe = min(row + 14u, last) * quads;
    let xf = min(row + 15u, last) * quads;

    var s00 = vec4<f32>(); var s01 = vec4<f32>(); var s02 = vec4<f32>(); var s03 = vec4<f32>();
    var s10 = vec4<f32>(); var s11 = vec4<f32>(); var s12 = vec4<f32>(); var s13 = vec4<f32>();
    var s20 = vec4<f32>(); var s21 = vec4<f32>(); var s22 = vec4<f32>(); var s23 = vec4<f32>();
    var s30 = vec4<f32>(); var s31 = vec4<f32>(); var s32 = vec4<f32>(); var s33 = vec4<f32>();
    var s40 = vec4<f32>(); var s41 = vec4<f32>(); var s42 = vec4<f32>(); var s43 = vec4<f32>();
    var s50 = vec4<f32>(); var s51 = vec4<f32>(); var s52 = vec4<f32>(); var s53 = vec4<f32>();
    var s60 = vec4<f32>(); var s61 = vec4<f32>(); var s62 = vec4<f32>(); var s63 = vec4<f32>();
    var s70 = vec4<f32>(); var s71 = vec4<f32>(); var s72 = vec4<f32>(); var s73 = vec4<f32>();
    var s80 = vec4<f32>(); var s81 = vec4<f32>(); var s82 = vec4<f32>(); var s83 = vec4<f32>();
    var s90 = vec4<f32>(); var s91 = vec4<f32>(); var s92 = vec4<f32>(); var s93 = vec4<f32>();
    var sa0 = vec4<f32>(); var sa1 = vec4<f32>(); var sa2 = vec4<f32>(); var sa3 = vec4<f32>();
    var sb0 = vec4<f32>(); var sb1 = vec4<f32>(); var sb2 = vec4<f32>(); var sb3 = vec4<f32>();
    var sc0 = vec4<f32>(); var sc1 = vec4<f32>(); var sc2 = vec4<f32>(); var sc3 = vec4<f32>();
    var sd0 = vec4<f32>(); var sd1 = vec4<f32>(); var sd2 = vec4<f32>(); var sd3 = vec4<f32>();
    var se0 = vec4<f32>(); var se1 = vec4<f32>(); var se2 = vec4<f32>(); var se3 = vec4<f32>();
    var sf0 = vec4<f32>(); var sf1 = vec4<f32>(); var sf2 = vec4<f32>(); var sf3 = vec4<f32>();
    for (var quad = 0u; quad < quads; quad++) {
        let w0 = four(quad, column, columns, group);
        let w1 = four(quad, c1, columns, group);
        let w2 = four(quad, c2, columns, group);
        let w3 = four(quad, c3, columns, group);
        let v0 = x[x0 + quad]; s00 += w0 * v0; s01 += w1 * v0; s02 += w2 * v0; s03 += w3 * v0;
        let v1 = x[x1 + quad]; s10 += w0 * v1; s11 += w1 * v1; s12 += w2 * v1; s13 += w3 * v1;
        let v2 = x[x2 + quad]; s20 += w0 * v2; s21 += w1 * v2; s22 += w2 * v2; s23 += w3 * v2;
        let v3 = x[x3 + quad]; s30 += w0 * v3; s31 += w1 * v3; s32 += w2 * v3; s33 += w3 * v3;
        let v4 = x[x4 + quad]; s40 += w0 * v4; s41 += w1 * v4; s42 += w2 * v4; s43 += w3 * v4;
        let v5 = x[x5 + quad]; s50 += w0 * v5; s51 += w1 * v5; s52 += w2 * v5; s53 += w3 * v5;
        let v6 = x[x6 + quad]; s60 += w0 * v6; s61 += w1 * v6; s62 += w2 * v6; s63 += w3 * v6;
        let v7 = x[x7 + quad]; s70 += w0 * v7; s71 += w1 * v7; s72 += w2 * v7; s73 += w3 * v7;
        let v8 = x[x8 + quad]; s80 += w0 * v8; s81 += w1 * v8; s82 += w2 * v8; s83 += w3 * v8;
        let v9 = x[x9 + quad]; s90 += w0 * v9; s91 += w1 * v9; s92 += w2 * v9; s93 += w3 * v9;
        let va = x[xa + quad]; sa0 += w0 * va; sa1 += w1 * va; sa2 += w2 * va; sa3 += w3 * va;
        let vb = x[xb + quad]; sb0 += w0 * vb; sb1 += w1 * vb; sb2 += w2 * vb; sb3 += w3 * vb;
        let vc = x[xc + quad]; sc0 += w0 * vc; sc1 += w1 * vc; sc2 += w2 * vc; sc3 += w3 * vc;
        let vd = x[xd + quad]; sd0 += w0 * vd; sd1 += w1 * vd; sd2 += w2 * vd; sd3 += w3 * vd;
        let ve = x[xe + quad]; se0 += w0 * ve; se1 += w1 * ve; se2 += w2 * ve; se3 += w3 * ve;
        let vf = x[xf + quad]; sf0 += w0 * vf; sf1 += w1 * vf; sf2 += w2 * vf; sf3 += w3 * vf;
    }

    keep(row, column, columns, s00, s01, s02, s03);
    if row + 1u <= last { keep(row + 1u, column, columns, s10, s11, s12, s13); }
    if row + 2u <= last { keep(row + 2u, column, columns, s20, s21, s22, s23); }
    if row + 3u <= last { keep(row + 3u, column, columns, s30, s31, s32, s33); }
    if row + 4u <= last { keep(row + 4u, column, columns, s40, s41, s42, s43); }
    if row + 5u <= last { keep(row + 5u, column, columns, s50, s51, s52, s53); }
    if row + 6u <= last { keep(row + 6u, column, columns, s60, s61, s62, s63); }
    if row + 7u <= last { keep(row + 7u, column, columns, s70, s71, s72, s73); }
    if row + 8u <= last { keep(row + 8u, column, columns, s80, s81, s82, s83); }
    if row + 9u <= last { keep(row + 9u, column, columns, s90, s91, s92, s93); }
    if row + 10u <= last { keep(row + 10u, column, columns, sa0, sa1, sa2, sa3); }
    if row + 11u <= last { keep(row + 11u, column, columns, sb0, sb1, sb2, sb3); }
    if row + 12u <= last { keep(row + 12u, column, columns, sc0, sc1, sc2, sc3); }
    if row + 13u <= last { keep(row + 13u, column, columns, sd0, sd1, sd2, sd3); }
    if row + 14u <= last { keep(row + 14u, column, columns, se0, se1, se2, se3); }
    if row + 15u <= last { keep(row + 15u, column, columns, sf0, sf1, sf2, sf3); }

    // What follows the sums, once in a loop: written out 64 times it takes longer to compile than to run.
    for (var i = row; i < min(row + 16u, params.m); i++) {
        for (var j = column; j < min(column + 4u, columns); j++) {
            y[i * columns + j] = finish(y[i * columns + j], i, j, columns);
        }
    }
}
