//! Linear layer with what follows it, for one to four rows: each weight is read once for all of them.
//!
//!   value[m,n] = act(sum_k x[m,k] * w[k,n] * scale[k / group, n] + bias[n])
//!   y[m,n]     = residual[m % residual_rows, n] + gate[m / rows_per_sample, n] * value[m,n], or value alone
//!
//! shapes    x [M, K], y [M, N] row-major f32; K and N multiples of 4; M any, made for M <= ROWS.
//!           w as the host packs it (src/linear.rs): f32 [K, N]; f16, two rows of a column in a u32 [K/2, N]; int8,
//!           four rows of a column in a u32 [K/4, N]. For scale, bias, residual or gate without use, any 16 bytes do
//! grid      one workgroup of 128 invocations per ROWS rows x 64 columns, k cut in 8 slices; numbered over x and y
//!           from first, columns first. More than ROWS rows work, reading w again for each ROWS of them
//! memory    2 KiB per row in the workgroup, for the sums of the slices
//! numbers   sums in f32 for every storage; each slice takes every 8th four of k; the slices are then added in order.
//!           f16 is read exactly. GELU is within 1e-6 absolute up to |x| = 4, relative to x beyond
//! defined   tests/linear.rs, `definition`   packed by   src/linear.rs
//! source    a linear layer as in Vaswani et al. 2017, arXiv 1706.03762; gates: Peebles & Xie 2022, arXiv 2212.09748,
//!           section 3.2 (adaLN-Zero), and LayerScale, Touvron et al. 2021, arXiv 2103.17239

// The host swaps the values of these lines.
const WEIGHTS = F32;        // how w is stored: F32, F16 or INT8
const BIAS = true;          // whether bias is added
const ACTIVATION = IDENTITY;    // IDENTITY, GELU_EXACT, GELU_TANH or SILU
const RESIDUAL = NONE;      // NONE: y = value; ADDED: residual + value; GATED: residual + gate * value
const ROWS = 4u;            // rows of y per workgroup, 1 to 4

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

const SLICES = 8u;              // parts of k, summed at the end
var<workgroup> sums: array<vec4<f32>, 16u * SLICES * ROWS>;     // [row][slice][column]

/// Four more terms of the sum of four outputs.
fn add(x: vec4<f32>, w: mat4x4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let first = fma(vec4<f32>(x.y), w[1], fma(vec4<f32>(x.x), w[0], sum));
    return fma(vec4<f32>(x.w), w[3], fma(vec4<f32>(x.z), w[2], first));
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let columns = params.n / 4u;
    let quads = params.k / 4u;
    let tile = params.first + workgroup.x + workgroup.y * grid.x;
    let tiles_across = (columns + 15u) / 16u;
    let row = (tile / max(tiles_across, 1u)) * ROWS;
    // The same for the whole workgroup: a barrier follows.
    if row >= params.m || columns == 0u { return; }
    let first_column = (tile % tiles_across) * 16u;

    // Rows and columns past the end repeat the last one, and are not written.
    let last = params.m - 1u;
    let column = min(first_column + lane % 16u, columns - 1u);
    let slice = lane / 16u;
    let x0 = row * quads;
    let x1 = min(row + 1u, last) * quads;
    let x2 = min(row + 2u, last) * quads;
    let x3 = min(row + 3u, last) * quads;
    let group = max(params.group / 4u, 1u);
    var c0 = vec4<f32>(); var c1 = vec4<f32>(); var c2 = vec4<f32>(); var c3 = vec4<f32>();
    for (var quad = slice; quad < quads; quad += SLICES) {
        var b = weights(quad, column, columns);
        if WEIGHTS == INT8 {
            let s = scale[(quad / group) * columns + column];
            b = scaled(b, s);
        }
        c0 = add(x[x0 + quad], b, c0);
        if ROWS > 1u { c1 = add(x[x1 + quad], b, c1); }
        if ROWS > 2u { c2 = add(x[x2 + quad], b, c2); }
        if ROWS > 3u { c3 = add(x[x3 + quad], b, c3); }
    }

    const ROW = 16u * SLICES;
    sums[lane] = c0;
    if ROWS > 1u { sums[ROW + lane] = c1; }
    if ROWS > 2u { sums[2u * ROW + lane] = c2; }
    if ROWS > 3u { sums[3u * ROW + lane] = c3; }
    workgroupBarrier();

    // One invocation for four outputs.
    let out_row = row + lane / 16u;
    let out_column = first_column + lane % 16u;
    if lane >= 16u * ROWS || out_row > last || out_column >= columns { return; }
    let at = (lane / 16u) * ROW + lane % 16u;
    var sum = sums[at];
    for (var part = 1u; part < SLICES; part++) { sum += sums[at + 16u * part]; }
    y[out_row * columns + out_column] = finish(sum, out_row, out_column, columns);
}
