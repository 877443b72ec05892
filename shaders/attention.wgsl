//! Softmax attention without barriers or workgroup memory, for software and small adapters: one query per invocation.
//!
//!   y[b,t,h,:] = sum_j p[j] v[b,j,h,:],   p = softmax over j of (q[b,t,h,:] . k[b,j,h,:]) * scale
//!
//! shapes    qkv [B, T, 3, A, d]: queries, keys, values of all heads side by side, as the projection gives them;
//!           y [B, T, A*d], ready for the output projection; d = HEAD a multiple of 4 up to 128, T any
//! grid      x over queries, 32 to a workgroup; y over heads; z over samples
//! memory    none; query and accumulator stay in named registers, and those beyond HEAD are never made. Keys and
//!           values are read at addresses that a whole workgroup shares: one load serves all its queries. Four keys
//!           at a time, so that an accumulator is loaded and stored once for four products
//! numbers   online softmax in f32, in powers of two. A query that has NaN or meets it in a key or a value gives NaN;
//!           an infinite score gives NaN as in plain ops; an infinite value of the last key may give NaN for infinity
//!           where T is no multiple of 4
//! defined   crate/maetok/src/nn/attention.rs, `scores` and `attend`. No rotary positions and no norms in here: a key
//!           would be turned again for every query. `qk_prepare.wgsl` does it once before
//! source    Milakov & Gimelshein 2018, arXiv 1805.02867 (online softmax)

const HEAD = 64u;                     // head size d. The host swaps this line

struct Params { tokens: u32, heads: u32, scale: f32 }   // scale: 1 / sqrt(d)

@group(0) @binding(0) var<storage, read>       qkv:    array<vec4<f32>>;  // [B, T, 3, A, d]
@group(0) @binding(1) var<storage, read_write> y:      array<vec4<f32>>;  // [B, T, A, d]
@group(0) @binding(2) var<storage, read>       params: Params;

const D4 = HEAD / 4u;
const LOG2_E = 1.4426950408889634;
const LOWEST = -3.4028234e38;         // not -infinity: the difference of two of those is NaN

fn sum(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tokens = params.tokens;
    let t = group.x * 32u + lane;
    if t >= tokens { return; }
    let all_heads = params.heads * D4;
    let row = 3u * all_heads;                                           // from token to token
    let keys = group.z * tokens * row + all_heads + group.y * D4;       // key of token 0
    let values = keys + all_heads;
    let query = keys - all_heads + t * row;
    let scale = params.scale * LOG2_E;

    var q0 = vec4<f32>(); var q1 = vec4<f32>(); var q2 = vec4<f32>(); var q3 = vec4<f32>();
    var q4 = vec4<f32>(); var q5 = vec4<f32>(); var q6 = vec4<f32>(); var q7 = vec4<f32>();
    var q8 = vec4<f32>(); var q9 = vec4<f32>(); var q10 = vec4<f32>(); var q11 = vec4<f32>();
    var q12 = vec4<f32>(); var q13 = vec4<f32>(); var q14 = vec4<f32>(); var q15 = vec4<f32>();
    var q16 = vec4<f32>(); var q17 = vec4<f32>(); var q18 = vec4<f32>(); var q19 = vec4<f32>();
    var q20 = vec4<f32>(); var q21 = vec4<f32>(); var q22 = vec4<f32>(); var q23 = vec4<f32>();
    var q24 = vec4<f32>(); var q25 = vec4<f32>(); var q26 = vec4<f32>(); var q27 = vec4<f32>();
    var q28 = vec4<f32>(); var q29 = vec4<f32>(); var q30 = vec4<f32>(); var q31 = vec4<f32>();
    if D4 > 0u { q0 = qkv[query + 0u] * scale; }
    if D4 > 1u { q1 = qkv[query + 1u] * scale; }
    if D4 > 2u { q2 = qkv[query + 2u] * scale; }
    if D4 > 3u { q3 = qkv[query + 3u] * scale; }
    if D4 > 4u { q4 = qkv[query + 4u] * scale; }
    if D4 > 5u { q5 = qkv[query + 5u] * scale; }
    if D4 > 6u { q6 = qkv[query + 6u] * scale; }
    if D4 > 7u { q7 = qkv[query + 7u] * scale; }
    if D4 > 8u { q8 = qkv[query + 8u] * scale; }
    if D4 > 9u { q9 = qkv[query + 9u] * scale; }
    if D4 > 10u { q10 = qkv[query + 10u] * scale; }
    if D4 > 11u { q11 = qkv[query + 11u] * scale; }
    if D4 > 12u { q12 = qkv[query + 12u] * scale; }
    if D4 > 13u { q13 = qkv[query + 13u] * scale; }
    if D4 > 14u { q14 = qkv[query + 14u] * scale; }
    if D4 > 15u { q15 = qkv[query + 15u] * scale; }
    if D4 > 16u { q16 = qkv[query + 16u] * scale; }
    if D4 > 17u { q17 = qkv[query + 17u] * scale; }
    if D4 > 18u { q18 = qkv[query + 18u] * scale; }
    if D4 > 19u { q19 = qkv[query + 19u] * scale; }
    if D4 > 20u { q20 = qkv[query + 20u] * scale; }
    if D4 > 21u { q21 = qkv[query + 21u] * scale; }
    if D4 > 22u { q22 = qkv[query + 22u] * scale; }
    if D4 > 23u { q23 = qkv[query + 23u] * scale; }
    if D4 > 24u { q24 = qkv[query + 24u] * scale; }
    if D4 > 25u { q25 = qkv[query + 25u] * scale; }
    if D4 > 26u { q26 = qkv[query + 26u] * scale; }
    if D4 > 27u { q27 = qkv[query + 27u] * scale; }
    if D4 > 28u { q28 = qkv[query + 28u] * scale; }
    if D4 > 29u { q29 = qkv[query + 29u] * scale; }
    if D4 > 30u { q30 = qkv[query + 30u] * scale; }
    if D4 > 31u { q31 = qkv[query + 31u] * scale; }
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();
    var a8 = vec4<f32>(); var a9 = vec4<f32>(); var a10 = vec4<f32>(); var a11 = vec4<f32>();
    var a12 = vec4<f32>(); var a13 = vec4<f32>(); var a14 = vec4<f32>(); var a15 = vec4<f32>();
    var a16 = vec4<f32>(); var a17 = vec4<f32>(); var a18 = vec4<f32>(); var a19 = vec4<f32>();
    var a20 = vec4<f32>(); var a21 = vec4<f32>(); var a22 = vec4<f32>(); var a23 = vec4<f32>();
    var a24 = vec4<f32>(); var a25 = vec4<f32>(); var a26 = vec4<f32>(); var a27 = vec4<f32>();
    var a28 = vec4<f32>(); var a29 = vec4<f32>(); var a30 = vec4<f32>(); var a31 = vec4<f32>();
    var largest = LOWEST;
    var total = 0.0;

    for (var j = 0u; j < tokens; j += 4u) {
        // Past the end the last key stands in; its weight is put to zero below.
        let at = min(vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tokens - 1u)) * row;
        let k = at + keys;
        var s0 = vec4<f32>(); var s1 = vec4<f32>(); var s2 = vec4<f32>(); var s3 = vec4<f32>();
        if D4 > 0u { s0 = fma(q0, qkv[k.x + 0u], s0); s1 = fma(q0, qkv[k.y + 0u], s1); s2 = fma(q0, qkv[k.z + 0u], s2); s3 = fma(q0, qkv[k.w + 0u], s3); }
        if D4 > 1u { s0 = fma(q1, qkv[k.x + 1u], s0); s1 = fma(q1, qkv[k.y + 1u], s1); s2 = fma(q1, qkv[k.z + 1u], s2); s3 = fma(q1, qkv[k.w + 1u], s3); }
        if D4 > 2u { s0 = fma(q2, qkv[k.x + 2u], s0); s1 = fma(q2, qkv[k.y + 2u], s1); s2 = fma(q2, qkv[k.z + 2u], s2); s3 = fma(q2, qkv[k.w + 2u], s3); }
        if D4 > 3u { s0 = fma(q3, qkv[k.x + 3u], s0); s1 = fma(q3, qkv[k.y + 3u], s1); s2 = fma(q3, qkv[k.z + 3u], s2); s3 = fma(q3, qkv[k.w + 3u], s3); }
        if D4 > 4u { s0 = fma(q4, qkv[k.x + 4u], s0); s1 = fma(q4, qkv[k.y + 4u], s1); s2 = fma(q4, qkv[k.z + 4u], s2); s3 = fma(q4, qkv[k.w + 4u], s3); }
        if D4 > 5u { s0 = fma(q5, qkv[k.x + 5u], s0); s1 = fma(q5, qkv[k.y + 5u], s1); s2 = fma(q5, qkv[k.z + 5u], s2); s3 = fma(q5, qkv[k.w + 5u], s3); }
        if D4 > 6u { s0 = fma(q6, qkv[k.x + 6u], s0); s1 = fma(q6, qkv[k.y + 6u], s1); s2 = fma(q6, qkv[k.z + 6u], s2); s3 = fma(q6, qkv[k.w + 6u], s3); }
        if D4 > 7u { s0 = fma(q7, qkv[k.x + 7u], s0); s1 = fma(q7, qkv[k.y + 7u], s1); s2 = fma(q7, qkv[k.z + 7u], s2); s3 = fma(q7, qkv[k.w + 7u], s3); }
        if D4 > 8u { s0 = fma(q8, qkv[k.x + 8u], s0); s1 = fma(q8, qkv[k.y + 8u], s1); s2 = fma(q8, qkv[k.z + 8u], s2); s3 = fma(q8, qkv[k.w + 8u], s3); }
        if D4 > 9u { s0 = fma(q9, qkv[k.x + 9u], s0); s1 = fma(q9, qkv[k.y + 9u], s1); s2 = fma(q9, qkv[k.z + 9u], s2); s3 = fma(q9, qkv[k.w + 9u], s3); }
        if D4 > 10u { s0 = fma(q10, qkv[k.x + 10u], s0); s1 = fma(q10, qkv[k.y + 10u], s1); s2 = fma(q10, qkv[k.z + 10u], s2); s3 = fma(q10, qkv[k.w + 10u], s3); }
        if D4 > 11u { s0 = fma(q11, qkv[k.x + 11u], s0); s1 = fma(q11, qkv[k.y + 11u], s1); s2 = fma(q11, qkv[k.z + 11u], s2); s3 = fma(q11, qkv[k.w + 11u], s3); }
        if D4 > 12u { s0 = fma(q12, qkv[k.x + 12u], s0); s1 = fma(q12, qkv[k.y + 12u], s1); s2 = fma(q12, qkv[k.z + 12u], s2); s3 = fma(q12, qkv[k.w + 12u], s3); }
        if D4 > 13u { s0 = fma(q13, qkv[k.x + 13u], s0); s1 = fma(q13, qkv[k.y + 13u], s1); s2 = fma(q13, qkv[k.z + 13u], s2); s3 = fma(q13, qkv[k.w + 13u], s3); }
        if D4 > 14u { s0 = fma(q14, qkv[k.x + 14u], s0); s1 = fma(q14, qkv[k.y + 14u], s1); s2 = fma(q14, qkv[k.z + 14u], s2); s3 = fma(q14, qkv[k.w + 14u], s3); }
        if D4 > 15u { s0 = fma(q15, qkv[k.x + 15u], s0); s1 = fma(q15, qkv[k.y + 15u], s1); s2 = fma(q15, qkv[k.z + 15u], s2); s3 = fma(q15, qkv[k.w + 15u], s3); }
        if D4 > 16u { s0 = fma(q16, qkv[k.x + 16u], s0); s1 = fma(q16, qkv[k.y + 16u], s1); s2 = fma(q16, qkv[k.z + 16u], s2); s3 = fma(q16, qkv[k.w + 16u], s3); }
        if D4 > 17u { s0 = fma(q17, qkv[k.x + 17u], s0); s1 = fma(q17, qkv[k.y + 17u], s1); s2 = fma(q17, qkv[k.z + 17u], s2); s3 = fma(q17, qkv[k.w + 17u], s3); }
        if D4 > 18u { s0 = fma(q18, qkv[k.x + 18u], s0); s1 = fma(q18, qkv[k.y + 18u], s1); s2 = fma(q18, qkv[k.z + 18u], s2); s3 = fma(q18, qkv[k.w + 18u], s3); }
        if D4 > 19u { s0 = fma(q19, qkv[k.x + 19u], s0); s1 = fma(q19, qkv[k.y + 19u], s1); s2 = fma(q19, qkv[k.z + 19u], s2); s3 = fma(q19, qkv[k.w + 19u], s3); }
        if D4 > 20u { s0 = fma(q20, qkv[k.x + 20u], s0); s1 = fma(q20, qkv[k.y + 20u], s1); s2 = fma(q20, qkv[k.z + 20u], s2); s3 = fma(q20, qkv[k.w + 20u], s3); }
        if D4 > 21u { s0 = fma(q21, qkv[k.x + 21u], s0); s1 = fma(q21, qkv[k.y + 21u], s1); s2 = fma(q21, qkv[k.z + 21u], s2); s3 = fma(q21, qkv[k.w + 21u], s3); }
        if D4 > 22u { s0 = fma(q22, qkv[k.x + 22u], s0); s1 = fma(q22, qkv[k.y + 22u], s1); s2 = fma(q22, qkv[k.z + 22u], s2); s3 = fma(q22, qkv[k.w + 22u], s3); }
        if D4 > 23u { s0 = fma(q23, qkv[k.x + 23u], s0); s1 = fma(q23, qkv[k.y + 23u], s1); s2 = fma(q23, qkv[k.z + 23u], s2); s3 = fma(q23, qkv[k.w + 23u], s3); }
        if D4 > 24u { s0 = fma(q24, qkv[k.x + 24u], s0); s1 = fma(q24, qkv[k.y + 24u], s1); s2 = fma(q24, qkv[k.z + 24u], s2); s3 = fma(q24, qkv[k.w + 24u], s3); }
        if D4 > 25u { s0 = fma(q25, qkv[k.x + 25u], s0); s1 = fma(q25, qkv[k.y + 25u], s1); s2 = fma(q25, qkv[k.z + 25u], s2); s3 = fma(q25, qkv[k.w + 25u], s3); }
        if D4 > 26u { s0 = fma(q26, qkv[k.x + 26u], s0); s1 = fma(q26, qkv[k.y + 26u], s1); s2 = fma(q26, qkv[k.z + 26u], s2); s3 = fma(q26, qkv[k.w + 26u], s3); }
        if D4 > 27u { s0 = fma(q27, qkv[k.x + 27u], s0); s1 = fma(q27, qkv[k.y + 27u], s1); s2 = fma(q27, qkv[k.z + 27u], s2); s3 = fma(q27, qkv[k.w + 27u], s3); }
        if D4 > 28u { s0 = fma(q28, qkv[k.x + 28u], s0); s1 = fma(q28, qkv[k.y + 28u], s1); s2 = fma(q28, qkv[k.z + 28u], s2); s3 = fma(q28, qkv[k.w + 28u], s3); }
        if D4 > 29u { s0 = fma(q29, qkv[k.x + 29u], s0); s1 = fma(q29, qkv[k.y + 29u], s1); s2 = fma(q29, qkv[k.z + 29u], s2); s3 = fma(q29, qkv[k.w + 29u], s3); }
        if D4 > 30u { s0 = fma(q30, qkv[k.x + 30u], s0); s1 = fma(q30, qkv[k.y + 30u], s1); s2 = fma(q30, qkv[k.z + 30u], s2); s3 = fma(q30, qkv[k.w + 30u], s3); }
        if D4 > 31u { s0 = fma(q31, qkv[k.x + 31u], s0); s1 = fma(q31, qkv[k.y + 31u], s1); s2 = fma(q31, qkv[k.z + 31u], s2); s3 = fma(q31, qkv[k.w + 31u], s3); }
        let score = vec4<f32>(sum(s0), sum(s1), sum(s2), sum(s3));
        let before = largest;
        largest = max(before, max(max(score.x, score.y), max(score.z, score.w)));
        let keep = exp2(before - largest);
        let there = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(tokens);
        let p = select(vec4<f32>(), exp2(score - largest), there);
        total = fma(total, keep, sum(p));
        let v = at + values;
        let p0 = vec4<f32>(p.x); let p1 = vec4<f32>(p.y); let p2 = vec4<f32>(p.z); let p3 = vec4<f32>(p.w);
        if D4 > 0u { a0 = fma(p3, qkv[v.w + 0u], fma(p2, qkv[v.z + 0u], fma(p1, qkv[v.y + 0u], fma(p0, qkv[v.x + 0u], a0 * keep)))); }
        if D4 > 1u { a1 = fma(p3, qkv[v.w + 1u], fma(p2, qkv[v.z + 1u], fma(p1, qkv[v.y + 1u], fma(p0, qkv[v.x + 1u], a1 * keep)))); }
        if D4 > 2u { a2 = fma(p3, qkv[v.w + 2u], fma(p2, qkv[v.z + 2u], fma(p1, qkv[v.y + 2u], fma(p0, qkv[v.x + 2u], a2 * keep)))); }
        if D4 > 3u { a3 = fma(p3, qkv[v.w + 3u], fma(p2, qkv[v.z + 3u], fma(p1, qkv[v.y + 3u], fma(p0, qkv[v.x + 3u], a3 * keep)))); }
        if D4 > 4u { a4 = fma(p3, qkv[v.w + 4u], fma(p2, qkv[v.z + 4u], fma(p1, qkv[v.y + 4u], fma(p0, qkv[v.x + 4u], a4 * keep)))); }
        if D4 > 5u { a5 = fma(p3, qkv[v.w + 5u], fma(p2, qkv[v.z + 5u], fma(p1, qkv[v.y + 5u], fma(p0, qkv[v.x + 5u], a5 * keep)))); }
        if D4 > 6u { a6 = fma(p3, qkv[v.w + 6u], fma(p2, qkv[v.z + 6u], fma(p1, qkv[v.y + 6u], fma(p0, qkv[v.x + 6u], a6 * keep)))); }
        if D4 > 7u { a7 = fma(p3, qkv[v.w + 7u], fma(p2, qkv[v.z + 7u], fma(p1, qkv[v.y + 7u], fma(p0, qkv[v.x + 7u], a7 * keep)))); }
        if D4 > 8u { a8 = fma(p3, qkv[v.w + 8u], fma(p2, qkv[v.z + 8u], fma(p1, qkv[v.y + 8u], fma(p0, qkv[v.x + 8u], a8 * keep)))); }
        if D4 > 9u { a9 = fma(p3, qkv[v.w + 9u], fma(p2, qkv[v.z + 9u], fma(p1, qkv[v.y + 9u], fma(p0, qkv[v.x + 9u], a9 * keep)))); }
        if D4 > 10u { a10 = fma(p3, qkv[v.w + 10u], fma(p2, qkv[v.z + 10u], fma(p1, qkv[v.y + 10u], fma(p0, qkv[v.x + 10u], a10 * keep)))); }
        if D4 > 11u { a11 = fma(p3, qkv[v.w + 11u], fma(p2, qkv[v.z + 11u], fma(p1, qkv[v.y + 11u], fma(p0, qkv[v.x + 11u], a11 * keep)))); }
        if D4 > 12u { a12 = fma(p3, qkv[v.w + 12u], fma(p2, qkv[v.z + 12u], fma(p1, qkv[v.y + 12u], fma(p0, qkv[v.x + 12u], a12 * keep)))); }
        if D4 > 13u { a13 = fma(p3, qkv[v.w + 13u], fma(p2, qkv[v.z + 13u], fma(p1, qkv[v.y + 13u], fma(p0, qkv[v.x + 13u], a13 * keep)))); }
        if D4 > 14u { a14 = fma(p3, qkv[v.w + 14u], fma(p2, qkv[v.z + 14u], fma(p1, qkv[v.y + 14u], fma(p0, qkv[v.x + 14u], a14 * keep)))); }
        if D4 > 15u { a15 = fma(p3, qkv[v.w + 15u], fma(p2, qkv[v.z + 15u], fma(p1, qkv[v.y + 15u], fma(p0, qkv[v.x + 15u], a15 * keep)))); }
        if D4 > 16u { a16 = fma(p3, qkv[v.w + 16u], fma(p2, qkv[v.z + 16u], fma(p1, qkv[v.y + 16u], fma(p0, qkv[v.x + 16u], a16 * keep)))); }
        if D4 > 17u { a17 = fma(p3, qkv[v.w + 17u], fma(p2, qkv[v.z + 17u], fma(p1, qkv[v.y + 17u], fma(p0, qkv[v.x + 17u], a17 * keep)))); }
        if D4 > 18u { a18 = fma(p3, qkv[v.w + 18u], fma(p2, qkv[v.z + 18u], fma(p1, qkv[v.y + 18u], fma(p0, qkv[v.x + 18u], a18 * keep)))); }
        if D4 > 19u { a19 = fma(p3, qkv[v.w + 19u], fma(p2, qkv[v.z + 19u], fma(p1, qkv[v.y + 19u], fma(p0, qkv[v.x + 19u], a19 * keep)))); }
        if D4 > 20u { a20 = fma(p3, qkv[v.w + 20u], fma(p2, qkv[v.z + 20u], fma(p1, qkv[v.y + 20u], fma(p0, qkv[v.x + 20u], a20 * keep)))); }
        if D4 > 21u { a21 = fma(p3, qkv[v.w + 21u], fma(p2, qkv[v.z + 21u], fma(p1, qkv[v.y + 21u], fma(p0, qkv[v.x + 21u], a21 * keep)))); }
        if D4 > 22u { a22 = fma(p3, qkv[v.w + 22u], fma(p2, qkv[v.z + 22u], fma(p1, qkv[v.y + 22u], fma(p0, qkv[v.x + 22u], a22 * keep)))); }
        if D4 > 23u { a23 = fma(p3, qkv[v.w + 23u], fma(p2, qkv[v.z + 23u], fma(p1, qkv[v.y + 23u], fma(p0, qkv[v.x + 23u], a23 * keep)))); }
        if D4 > 24u { a24 = fma(p3, qkv[v.w + 24u], fma(p2, qkv[v.z + 24u], fma(p1, qkv[v.y + 24u], fma(p0, qkv[v.x + 24u], a24 * keep)))); }
        if D4 > 25u { a25 = fma(p3, qkv[v.w + 25u], fma(p2, qkv[v.z + 25u], fma(p1, qkv[v.y + 25u], fma(p0, qkv[v.x + 25u], a25 * keep)))); }
        if D4 > 26u { a26 = fma(p3, qkv[v.w + 26u], fma(p2, qkv[v.z + 26u], fma(p1, qkv[v.y + 26u], fma(p0, qkv[v.x + 26u], a26 * keep)))); }
        if D4 > 27u { a27 = fma(p3, qkv[v.w + 27u], fma(p2, qkv[v.z + 27u], fma(p1, qkv[v.y + 27u], fma(p0, qkv[v.x + 27u], a27 * keep)))); }
        if D4 > 28u { a28 = fma(p3, qkv[v.w + 28u], fma(p2, qkv[v.z + 28u], fma(p1, qkv[v.y + 28u], fma(p0, qkv[v.x + 28u], a28 * keep)))); }
        if D4 > 29u { a29 = fma(p3, qkv[v.w + 29u], fma(p2, qkv[v.z + 29u], fma(p1, qkv[v.y + 29u], fma(p0, qkv[v.x + 29u], a29 * keep)))); }
        if D4 > 30u { a30 = fma(p3, qkv[v.w + 30u], fma(p2, qkv[v.z + 30u], fma(p1, qkv[v.y + 30u], fma(p0, qkv[v.x + 30u], a30 * keep)))); }
        if D4 > 31u { a31 = fma(p3, qkv[v.w + 31u], fma(p2, qkv[v.z + 31u], fma(p1, qkv[v.y + 31u], fma(p0, qkv[v.x + 31u], a31 * keep)))); }
    }

    let share = 1.0 / total;
    let out = (group.z * tokens + t) * all_heads + group.y * D4;
    if D4 > 0u { y[out + 0u] = a0 * share; }
    if D4 > 1u { y[out + 1u] = a1 * share; }
    if D4 > 2u { y[out + 2u] = a2 * share; }
    if D4 > 3u { y[out + 3u] = a3 * share; }
    if D4 > 4u { y[out + 4u] = a4 * share; }
    if D4 > 5u { y[out + 5u] = a5 * share; }
    if D4 > 6u { y[out + 6u] = a6 * share; }
    if D4 > 7u { y[out + 7u] = a7 * share; }
    if D4 > 8u { y[out + 8u] = a8 * share; }
    if D4 > 9u { y[out + 9u] = a9 * share; }
    if D4 > 10u { y[out + 10u] = a10 * share; }
    if D4 > 11u { y[out + 11u] = a11 * share; }
    if D4 > 12u { y[out + 12u] = a12 * share; }
    if D4 > 13u { y[out + 13u] = a13 * share; }
    if D4 > 14u { y[out + 14u] = a14 * share; }
    if D4 > 15u { y[out + 15u] = a15 * share; }
    if D4 > 16u { y[out + 16u] = a16 * share; }
    if D4 > 17u { y[out + 17u] = a17 * share; }
    if D4 > 18u { y[out + 18u] = a18 * share; }
    if D4 > 19u { y[out + 19u] = a19 * share; }
    if D4 > 20u { y[out + 20u] = a20 * share; }
    if D4 > 21u { y[out + 21u] = a21 * share; }
    if D4 > 22u { y[out + 22u] = a22 * share; }
    if D4 > 23u { y[out + 23u] = a23 * share; }
    if D4 > 24u { y[out + 24u] = a24 * share; }
    if D4 > 25u { y[out + 25u] = a25 * share; }
    if D4 > 26u { y[out + 26u] = a26 * share; }
    if D4 > 27u { y[out + 27u] = a27 * share; }
    if D4 > 28u { y[out + 28u] = a28 * share; }
    if D4 > 29u { y[out + 29u] = a29 * share; }
    if D4 > 30u { y[out + 30u] = a30 * share; }
    if D4 > 31u { y[out + 31u] = a31 * share; }
}
