//! Softmax attention without barriers or workgroup memory, for software and small adapters.
//!
//!   y[b,t,h,:] = sum_j p[j] v[b,j,h,:],   p = softmax over j of (q[b,t,h,:] . k[b,j,h,:]) * scale
//!
//! shapes    qkv [B, T, 3, A, d]: queries, keys, values of all heads side by side, as the projection gives them;
//!           y [B, T, A*d], ready for the output projection; d a multiple of 4, T any
//! grid      one invocation per 16 queries of a head, 8 to a workgroup, workgroups tiled over x and y; from invocation
//!           `first` on, so that a host can divide long work among dispatches
//! memory    none. The scores of 16 queries and 16 keys stand in 16 named matrices (an array indexed by a loop is 10
//!           times slower on software adapters, whose loads cost as much as dozens of multiply-adds: hence so many scores
//!           to each); sums over the keys so far stand in y
//! numbers   online softmax in f32, in powers of two; products of matrices, which software adapters do twice as fast as
//!           fused multiply-adds one by one. A query that has NaN or meets it in a key or a value gives NaN; an infinite
//!           score gives NaN as in plain ops; an infinite value of the last key may give NaN for infinity where T is no
//!           multiple of 16
//! defined   crate/maetok/src/nn/attention.rs, `scores` and `attend`. No rotary positions and no norms in here: a key
//!           would be turned again for every query. `qk_prepare.wgsl` does it once before
//! source    Milakov & Gimelshein 2018, arXiv 1805.02867 (online softmax)

// first and end: the invocations of this dispatch, of B * A * ceil(T / 16); dim: d; scale: 1 / sqrt(d)
struct Params { tokens: u32, heads: u32, dim: u32, first: u32, end: u32, scale: f32 }

@group(0) @binding(0) var<storage, read>       qkv:    array<vec4<f32>>;  // [B, T, 3, A, d]
@group(0) @binding(1) var<storage, read_write> y:      array<vec4<f32>>;  // [B, T, A, d]
@group(0) @binding(2) var<storage, read>       params: Params;

const LOG2_E = 1.4426950408889634;
const LOWEST = -3.4028234e38;         // not -infinity: the difference of two of those is NaN

// Matrices have a column per key and a row per query, unless said otherwise.

/// Four numbers of four tokens, a column per token.
fn four(at: vec4<u32>) -> mat4x4<f32> { return mat4x4<f32>(qkv[at.x], qkv[at.y], qkv[at.z], qkv[at.w]); }

fn largest(s: mat4x4<f32>) -> vec4<f32> { return max(max(s[0], s[1]), max(s[2], s[3])); }

fn sum(p: mat4x4<f32>) -> vec4<f32> { return (p[0] + p[1]) + (p[2] + p[3]); }

/// Powers of the scores of keys j .. j+3, less the queries' largest; 0 for a key past the end.
fn powers(s: mat4x4<f32>, most: vec4<f32>, j: u32) -> mat4x4<f32> {
    let none = vec4<f32>();
    return mat4x4<f32>(select(none, exp2(s[0] - most), j < params.tokens),
                       select(none, exp2(s[1] - most), j + 1u < params.tokens),
                       select(none, exp2(s[2] - most), j + 2u < params.tokens),
                       select(none, exp2(s[3] - most), j + 3u < params.tokens));
}

/// Sums of four queries over earlier keys, times `keep`; a column per query. 0 where y holds nothing yet.
fn earlier(at: vec4<u32>, keep: vec4<f32>, nothing: bool) -> mat4x4<f32> {
    let none = vec4<f32>();
    return mat4x4<f32>(select(y[at.x] * keep.x, none, nothing), select(y[at.y] * keep.y, none, nothing),
                       select(y[at.z] * keep.z, none, nothing), select(y[at.w] * keep.w, none, nothing));
}

/// Stores four queries, a column each, times `factor`.
fn store(at: vec4<u32>, a: mat4x4<f32>, factor: vec4<f32>) {
    y[at.x] = a[0] * factor.x;
    y[at.y] = a[1] * factor.y;
    y[at.z] = a[2] * factor.z;
    y[at.w] = a[3] * factor.w;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = params.first + (group.y * grid.x + group.x) * 8u + lane;
    if id >= params.end { return; }
    let tokens = params.tokens;
    let d4 = params.dim / 4u;
    let all_heads = params.heads * d4;
    let row = 3u * all_heads;                               // from token to token
    let tiles = (tokens + 15u) / 16u;
    let head = id / tiles % params.heads;
    let sample = id / tiles / params.heads;
    let queries = sample * tokens * row + head * d4;        // query of token 0
    let keys = queries + all_heads;
    let values = keys + all_heads;
    let out = sample * tokens * all_heads + head * d4;
    let scale = params.scale * LOG2_E;

    // Past the end the last token stands in: as a query it computes and writes the same again, as a key it weighs nothing.
    let last = vec4<u32>(tokens - 1u);
    let four_tokens = vec4<u32>(0u, 1u, 2u, 3u);
    let t = id % tiles * 16u + four_tokens;
    let t0 = min(t + 0u, last); let x0 = queries + t0 * row; let y0 = out + t0 * all_heads;
    let t1 = min(t + 4u, last); let x1 = queries + t1 * row; let y1 = out + t1 * all_heads;
    let t2 = min(t + 8u, last); let x2 = queries + t2 * row; let y2 = out + t2 * all_heads;
    let t3 = min(t + 12u, last); let x3 = queries + t3 * row; let y3 = out + t3 * all_heads;
    var m0 = vec4<f32>(LOWEST); var l0 = vec4<f32>();
    var m1 = vec4<f32>(LOWEST); var l1 = vec4<f32>();
    var m2 = vec4<f32>(LOWEST); var l2 = vec4<f32>();
    var m3 = vec4<f32>(LOWEST); var l3 = vec4<f32>();

    for (var j = 0u; j < tokens; j += 16u) {
        let j0 = min(j + 0u + four_tokens, last) * row;
        let j1 = min(j + 4u + four_tokens, last) * row;
        let j2 = min(j + 8u + four_tokens, last) * row;
        let j3 = min(j + 12u + four_tokens, last) * row;
        var s00 = mat4x4<f32>(); var s01 = mat4x4<f32>(); var s02 = mat4x4<f32>(); var s03 = mat4x4<f32>();
        var s10 = mat4x4<f32>(); var s11 = mat4x4<f32>(); var s12 = mat4x4<f32>(); var s13 = mat4x4<f32>();
        var s20 = mat4x4<f32>(); var s21 = mat4x4<f32>(); var s22 = mat4x4<f32>(); var s23 = mat4x4<f32>();
        var s30 = mat4x4<f32>(); var s31 = mat4x4<f32>(); var s32 = mat4x4<f32>(); var s33 = mat4x4<f32>();
        for (var i = 0u; i < d4; i++) {
            let q0 = transpose(four(x0 + i) * scale);
            let q1 = transpose(four(x1 + i) * scale);
            let q2 = transpose(four(x2 + i) * scale);
            let q3 = transpose(four(x3 + i) * scale);
            let k0 = four(j0 + (keys + i)); s00 += q0 * k0; s10 += q1 * k0; s20 += q2 * k0; s30 += q3 * k0;
            let k1 = four(j1 + (keys + i)); s01 += q0 * k1; s11 += q1 * k1; s21 += q2 * k1; s31 += q3 * k1;
            let k2 = four(j2 + (keys + i)); s02 += q0 * k2; s12 += q1 * k2; s22 += q2 * k2; s32 += q3 * k2;
            let k3 = four(j3 + (keys + i)); s03 += q0 * k3; s13 += q1 * k3; s23 += q2 * k3; s33 += q3 * k3;
        }

        let most0 = max(m0, max(max(largest(s00), largest(s01)), max(largest(s02), largest(s03))));
        let most1 = max(m1, max(max(largest(s10), largest(s11)), max(largest(s12), largest(s13))));
        let most2 = max(m2, max(max(largest(s20), largest(s21)), max(largest(s22), largest(s23))));
        let most3 = max(m3, max(max(largest(s30), largest(s31)), max(largest(s32), largest(s33))));
        let keep0 = exp2(m0 - most0); m0 = most0;
        let keep1 = exp2(m1 - most1); m1 = most1;
        let keep2 = exp2(m2 - most2); m2 = most2;
        let keep3 = exp2(m3 - most3); m3 = most3;
        let p00 = powers(s00, m0, j + 0u);
        let p01 = powers(s01, m0, j + 4u);
        let p02 = powers(s02, m0, j + 8u);
        let p03 = powers(s03, m0, j + 12u);
        let p10 = powers(s10, m1, j + 0u);
        let p11 = powers(s11, m1, j + 4u);
        let p12 = powers(s12, m1, j + 8u);
        let p13 = powers(s13, m1, j + 12u);
        let p20 = powers(s20, m2, j + 0u);
        let p21 = powers(s21, m2, j + 4u);
        let p22 = powers(s22, m2, j + 8u);
        let p23 = powers(s23, m2, j + 12u);
        let p30 = powers(s30, m3, j + 0u);
        let p31 = powers(s31, m3, j + 4u);
        let p32 = powers(s32, m3, j + 8u);
        let p33 = powers(s33, m3, j + 12u);
        l0 = fma(l0, keep0, (sum(p00) + sum(p01)) + (sum(p02) + sum(p03)));
        l1 = fma(l1, keep1, (sum(p10) + sum(p11)) + (sum(p12) + sum(p13)));
        l2 = fma(l2, keep2, (sum(p20) + sum(p21)) + (sum(p22) + sum(p23)));
        l3 = fma(l3, keep3, (sum(p30) + sum(p31)) + (sum(p32) + sum(p33)));

        // Now a column per query.
        let w00 = transpose(p00); let w01 = transpose(p01); let w02 = transpose(p02); let w03 = transpose(p03);
        let w10 = transpose(p10); let w11 = transpose(p11); let w12 = transpose(p12); let w13 = transpose(p13);
        let w20 = transpose(p20); let w21 = transpose(p21); let w22 = transpose(p22); let w23 = transpose(p23);
        let w30 = transpose(p30); let w31 = transpose(p31); let w32 = transpose(p32); let w33 = transpose(p33);
        let ends = j + 16u >= tokens;
        let share0 = select(vec4<f32>(1.0), 1.0 / l0, ends);
        let share1 = select(vec4<f32>(1.0), 1.0 / l1, ends);
        let share2 = select(vec4<f32>(1.0), 1.0 / l2, ends);
        let share3 = select(vec4<f32>(1.0), 1.0 / l3, ends);
        for (var i = 0u; i < d4; i++) {
            var a0 = earlier(y0 + i, keep0, j == 0u);
            var a1 = earlier(y1 + i, keep1, j == 0u);
            var a2 = earlier(y2 + i, keep2, j == 0u);
            var a3 = earlier(y3 + i, keep3, j == 0u);
            let v0 = four(j0 + (values + i)); a0 += v0 * w00; a1 += v0 * w10; a2 += v0 * w20; a3 += v0 * w30;
            let v1 = four(j1 + (values + i)); a0 += v1 * w01; a1 += v1 * w11; a2 += v1 * w21; a3 += v1 * w31;
            let v2 = four(j2 + (values + i)); a0 += v2 * w02; a1 += v2 * w12; a2 += v2 * w22; a3 += v2 * w32;
            let v3 = four(j3 + (values + i)); a0 += v3 * w03; a1 += v3 * w13; a2 += v3 * w23; a3 += v3 * w33;
            store(y0 + i, a0, share0); store(y1 + i, a1, share1); store(y2 + i, a2, share2); store(y3 + i, a3, share3);
        }
    }
}
