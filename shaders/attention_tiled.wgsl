//! Softmax attention with tiles of keys and values in workgroup memory, for GPUs; rotary positions on the way in.
//!
//!   y[b,t,h,:] = sum_j p[j] v[b,j,h,:],   p = softmax over j of (R_t q[b,t,h,:] . R_j k[b,j,h,:]) * scale
//!   R turns each pair (2i, 2i+1) of an image token by the angle of cosine cos[h,n,i] and sine sin[h,n,i], n = t - first;
//!   the other tokens are left alone
//!
//! shapes    qkv [B, T, 3, A, d]; y [B, T, A*d]; cos, sin [A, N, d/2], or [1, N, d/2] where all heads turn alike; image
//!           tokens are first .. first+N; d = HEAD a multiple of 4 up to 128, T any. Without rotary positions N = 0, and
//!           cos and sin may be any small buffers
//! grid      x over queries, 32 to a workgroup of 128; y over heads; z over samples
//! memory    8 keys and values, each padded to a multiple of 16 numbers, and 32*8*4 parts of scores: at most 12 KiB,
//!           written before read. Four lanes share a query: lane c holds vec4 number c, c+4, … of query and
//!           accumulator, so that the four read neighbours in a tile. Those beyond HEAD are never made
//! numbers   online softmax in f32, in powers of two. A query that has NaN or meets it in a key or a value gives NaN,
//!           and so does an infinite score
//! defined   crate/maetok/src/nn/attention.rs, `scores` and `attend`; crate/maetok/src/nn/rope.rs, `rotate`
//! source    Dao et al. 2022, arXiv 2205.14135 (tiles with online softmax)

const HEAD = 64u;                     // head size d. The host swaps this line

// scale is 1 / sqrt(d), patches N, table_heads the A or 1 of the tables.
struct Params { tokens: u32, heads: u32, scale: f32, first: u32, patches: u32, table_heads: u32 }

@group(0) @binding(0) var<storage, read>       qkv:    array<vec4<f32>>;  // [B, T, 3, A, d]
@group(0) @binding(1) var<storage, read>       cosine: array<vec2<f32>>;  // [A or 1, N, d/2]
@group(0) @binding(2) var<storage, read>       sine:   array<vec2<f32>>;  // [A or 1, N, d/2]
@group(0) @binding(3) var<storage, read_write> y:      array<vec4<f32>>;  // [B, T, A, d]
@group(0) @binding(4) var<storage, read>       params: Params;

const D4 = HEAD / 4u;
const PADDED = (D4 + 3u) / 4u * 4u;
const ROWS = 32u;                     // queries of a workgroup
const KEYS = 8u;                      // keys of a tile
const LANES = 4u * ROWS;
const LOG2_E = 1.4426950408889634;
const LOWEST = -3.4028234e38;         // not -infinity: the difference of two of those is NaN

var<workgroup> k_tile: array<vec4<f32>, KEYS * PADDED>;
var<workgroup> v_tile: array<vec4<f32>, KEYS * PADDED>;
var<workgroup> parts: array<f32, KEYS * LANES>;          // [key, query, lane of the query]

fn sum(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

/// Vec4 number `i` of a query or key at `at`, turned if `token` is an image token.
fn turned(at: u32, i: u32, token: u32, head: u32) -> vec4<f32> {
    let x = qkv[at + i];
    let n = token - params.first;     // wraps around before the first, and is then too large
    if n >= params.patches { return x; }
    let pair = (min(head, params.table_heads - 1u) * params.patches + n) * D4 + i;
    let c = cosine[pair];
    let s = sine[pair];
    return vec4<f32>(fma(x.x, c.x, -(x.y * s.x)), fma(x.x, s.x, x.y * c.x),
                     fma(x.z, c.y, -(x.w * s.y)), fma(x.z, s.y, x.w * c.y));
}

/// Score of one key: what the four lanes of the query have.
fn score(key: u32, query: u32) -> f32 {
    let at = key * LANES + query * 4u;
    return (parts[at] + parts[at + 1u]) + (parts[at + 2u] + parts[at + 3u]);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tokens = params.tokens;
    let head = group.y;
    let local = lane / 4u;            // which query of the workgroup
    let c = lane % 4u;
    let t = group.x * ROWS + local;
    let token = min(t, tokens - 1u);  // lanes past the end help with the tiles
    let all_heads = params.heads * D4;
    let row = 3u * all_heads;                                      // from token to token
    let queries = group.z * tokens * row + head * D4;              // query of token 0
    let keys = queries + all_heads;
    let values = keys + all_heads;
    let scale = params.scale * LOG2_E;
    let query = queries + token * row;

    var q0 = vec4<f32>(); var q1 = vec4<f32>(); var q2 = vec4<f32>(); var q3 = vec4<f32>();
    var q4 = vec4<f32>(); var q5 = vec4<f32>(); var q6 = vec4<f32>(); var q7 = vec4<f32>();
    if D4 > 0u { if 0u + c < D4 { q0 = turned(query, 0u + c, token, head) * scale; } }
    if D4 > 4u { if 4u + c < D4 { q1 = turned(query, 4u + c, token, head) * scale; } }
    if D4 > 8u { if 8u + c < D4 { q2 = turned(query, 8u + c, token, head) * scale; } }
    if D4 > 12u { if 12u + c < D4 { q3 = turned(query, 12u + c, token, head) * scale; } }
    if D4 > 16u { if 16u + c < D4 { q4 = turned(query, 16u + c, token, head) * scale; } }
    if D4 > 20u { if 20u + c < D4 { q5 = turned(query, 20u + c, token, head) * scale; } }
    if D4 > 24u { if 24u + c < D4 { q6 = turned(query, 24u + c, token, head) * scale; } }
    if D4 > 28u { if 28u + c < D4 { q7 = turned(query, 28u + c, token, head) * scale; } }
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();
    var largest = LOWEST;
    var total = 0.0;

    for (var j = 0u; j < tokens; j += KEYS) {
        workgroupBarrier();           // the tiles of the last round have been read
        for (var e = lane; e < KEYS * PADDED; e += LANES) {
            let of_key = j + e / PADDED;
            let i = e % PADDED;
            var k = vec4<f32>();
            var v = vec4<f32>();
            if of_key < tokens && i < D4 {
                k = turned(keys + of_key * row, i, of_key, head);
                v = qkv[values + of_key * row + i];
            }
            k_tile[e] = k;
            v_tile[e] = v;
        }
        workgroupBarrier();

        var s0 = vec4<f32>(); var s1 = vec4<f32>(); var s2 = vec4<f32>(); var s3 = vec4<f32>();
        var s4 = vec4<f32>(); var s5 = vec4<f32>(); var s6 = vec4<f32>(); var s7 = vec4<f32>();
        if D4 > 0u {
            s0 = fma(q0, k_tile[0u * PADDED + 0u + c], s0); s1 = fma(q0, k_tile[1u * PADDED + 0u + c], s1);
            s2 = fma(q0, k_tile[2u * PADDED + 0u + c], s2); s3 = fma(q0, k_tile[3u * PADDED + 0u + c], s3);
            s4 = fma(q0, k_tile[4u * PADDED + 0u + c], s4); s5 = fma(q0, k_tile[5u * PADDED + 0u + c], s5);
            s6 = fma(q0, k_tile[6u * PADDED + 0u + c], s6); s7 = fma(q0, k_tile[7u * PADDED + 0u + c], s7);
        }
        if D4 > 4u {
            s0 = fma(q1, k_tile[0u * PADDED + 4u + c], s0); s1 = fma(q1, k_tile[1u * PADDED + 4u + c], s1);
            s2 = fma(q1, k_tile[2u * PADDED + 4u + c], s2); s3 = fma(q1, k_tile[3u * PADDED + 4u + c], s3);
            s4 = fma(q1, k_tile[4u * PADDED + 4u + c], s4); s5 = fma(q1, k_tile[5u * PADDED + 4u + c], s5);
            s6 = fma(q1, k_tile[6u * PADDED + 4u + c], s6); s7 = fma(q1, k_tile[7u * PADDED + 4u + c], s7);
        }
        if D4 > 8u {
            s0 = fma(q2, k_tile[0u * PADDED + 8u + c], s0); s1 = fma(q2, k_tile[1u * PADDED + 8u + c], s1);
            s2 = fma(q2, k_tile[2u * PADDED + 8u + c], s2); s3 = fma(q2, k_tile[3u * PADDED + 8u + c], s3);
            s4 = fma(q2, k_tile[4u * PADDED + 8u + c], s4); s5 = fma(q2, k_tile[5u * PADDED + 8u + c], s5);
            s6 = fma(q2, k_tile[6u * PADDED + 8u + c], s6); s7 = fma(q2, k_tile[7u * PADDED + 8u + c], s7);
        }
        if D4 > 12u {
            s0 = fma(q3, k_tile[0u * PADDED + 12u + c], s0); s1 = fma(q3, k_tile[1u * PADDED + 12u + c], s1);
            s2 = fma(q3, k_tile[2u * PADDED + 12u + c], s2); s3 = fma(q3, k_tile[3u * PADDED + 12u + c], s3);
            s4 = fma(q3, k_tile[4u * PADDED + 12u + c], s4); s5 = fma(q3, k_tile[5u * PADDED + 12u + c], s5);
            s6 = fma(q3, k_tile[6u * PADDED + 12u + c], s6); s7 = fma(q3, k_tile[7u * PADDED + 12u + c], s7);
        }
        if D4 > 16u {
            s0 = fma(q4, k_tile[0u * PADDED + 16u + c], s0); s1 = fma(q4, k_tile[1u * PADDED + 16u + c], s1);
            s2 = fma(q4, k_tile[2u * PADDED + 16u + c], s2); s3 = fma(q4, k_tile[3u * PADDED + 16u + c], s3);
            s4 = fma(q4, k_tile[4u * PADDED + 16u + c], s4); s5 = fma(q4, k_tile[5u * PADDED + 16u + c], s5);
            s6 = fma(q4, k_tile[6u * PADDED + 16u + c], s6); s7 = fma(q4, k_tile[7u * PADDED + 16u + c], s7);
        }
        if D4 > 20u {
            s0 = fma(q5, k_tile[0u * PADDED + 20u + c], s0); s1 = fma(q5, k_tile[1u * PADDED + 20u + c], s1);
            s2 = fma(q5, k_tile[2u * PADDED + 20u + c], s2); s3 = fma(q5, k_tile[3u * PADDED + 20u + c], s3);
            s4 = fma(q5, k_tile[4u * PADDED + 20u + c], s4); s5 = fma(q5, k_tile[5u * PADDED + 20u + c], s5);
            s6 = fma(q5, k_tile[6u * PADDED + 20u + c], s6); s7 = fma(q5, k_tile[7u * PADDED + 20u + c], s7);
        }
        if D4 > 24u {
            s0 = fma(q6, k_tile[0u * PADDED + 24u + c], s0); s1 = fma(q6, k_tile[1u * PADDED + 24u + c], s1);
            s2 = fma(q6, k_tile[2u * PADDED + 24u + c], s2); s3 = fma(q6, k_tile[3u * PADDED + 24u + c], s3);
            s4 = fma(q6, k_tile[4u * PADDED + 24u + c], s4); s5 = fma(q6, k_tile[5u * PADDED + 24u + c], s5);
            s6 = fma(q6, k_tile[6u * PADDED + 24u + c], s6); s7 = fma(q6, k_tile[7u * PADDED + 24u + c], s7);
        }
        if D4 > 28u {
            s0 = fma(q7, k_tile[0u * PADDED + 28u + c], s0); s1 = fma(q7, k_tile[1u * PADDED + 28u + c], s1);
            s2 = fma(q7, k_tile[2u * PADDED + 28u + c], s2); s3 = fma(q7, k_tile[3u * PADDED + 28u + c], s3);
            s4 = fma(q7, k_tile[4u * PADDED + 28u + c], s4); s5 = fma(q7, k_tile[5u * PADDED + 28u + c], s5);
            s6 = fma(q7, k_tile[6u * PADDED + 28u + c], s6); s7 = fma(q7, k_tile[7u * PADDED + 28u + c], s7);
        }
        let mine = local * 4u + c;
        parts[0u * LANES + mine] = sum(s0); parts[1u * LANES + mine] = sum(s1);
        parts[2u * LANES + mine] = sum(s2); parts[3u * LANES + mine] = sum(s3);
        parts[4u * LANES + mine] = sum(s4); parts[5u * LANES + mine] = sum(s5);
        parts[6u * LANES + mine] = sum(s6); parts[7u * LANES + mine] = sum(s7);
        workgroupBarrier();
        // Each of the four lanes does this for itself; handing the weights round would take another barrier.
        let index = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u);
        let here = index < vec4<u32>(tokens);
        let there = index + 4u < vec4<u32>(tokens);
        let lowest = vec4<f32>(LOWEST);                    // of a key past the end, which must not raise `largest`
        let low = select(lowest, vec4<f32>(score(0u, local), score(1u, local), score(2u, local), score(3u, local)), here);
        let high = select(lowest, vec4<f32>(score(4u, local), score(5u, local), score(6u, local), score(7u, local)), there);
        let most = max(low, high);
        let before = largest;
        largest = max(before, max(max(most.x, most.y), max(most.z, most.w)));
        let keep = exp2(before - largest);
        let p = select(vec4<f32>(), exp2(low - largest), here);
        let r = select(vec4<f32>(), exp2(high - largest), there);
        total = fma(total, keep, sum(p) + sum(r));
        let p0 = vec4<f32>(p.x); let p1 = vec4<f32>(p.y); let p2 = vec4<f32>(p.z); let p3 = vec4<f32>(p.w);
        let p4 = vec4<f32>(r.x); let p5 = vec4<f32>(r.y); let p6 = vec4<f32>(r.z); let p7 = vec4<f32>(r.w);
        if D4 > 0u {
            a0 *= keep;
            a0 = fma(p0, v_tile[0u * PADDED + 0u + c], a0); a0 = fma(p1, v_tile[1u * PADDED + 0u + c], a0);
            a0 = fma(p2, v_tile[2u * PADDED + 0u + c], a0); a0 = fma(p3, v_tile[3u * PADDED + 0u + c], a0);
            a0 = fma(p4, v_tile[4u * PADDED + 0u + c], a0); a0 = fma(p5, v_tile[5u * PADDED + 0u + c], a0);
            a0 = fma(p6, v_tile[6u * PADDED + 0u + c], a0); a0 = fma(p7, v_tile[7u * PADDED + 0u + c], a0);
        }
        if D4 > 4u {
            a1 *= keep;
            a1 = fma(p0, v_tile[0u * PADDED + 4u + c], a1); a1 = fma(p1, v_tile[1u * PADDED + 4u + c], a1);
            a1 = fma(p2, v_tile[2u * PADDED + 4u + c], a1); a1 = fma(p3, v_tile[3u * PADDED + 4u + c], a1);
            a1 = fma(p4, v_tile[4u * PADDED + 4u + c], a1); a1 = fma(p5, v_tile[5u * PADDED + 4u + c], a1);
            a1 = fma(p6, v_tile[6u * PADDED + 4u + c], a1); a1 = fma(p7, v_tile[7u * PADDED + 4u + c], a1);
        }
        if D4 > 8u {
            a2 *= keep;
            a2 = fma(p0, v_tile[0u * PADDED + 8u + c], a2); a2 = fma(p1, v_tile[1u * PADDED + 8u + c], a2);
            a2 = fma(p2, v_tile[2u * PADDED + 8u + c], a2); a2 = fma(p3, v_tile[3u * PADDED + 8u + c], a2);
            a2 = fma(p4, v_tile[4u * PADDED + 8u + c], a2); a2 = fma(p5, v_tile[5u * PADDED + 8u + c], a2);
            a2 = fma(p6, v_tile[6u * PADDED + 8u + c], a2); a2 = fma(p7, v_tile[7u * PADDED + 8u + c], a2);
        }
        if D4 > 12u {
            a3 *= keep;
            a3 = fma(p0, v_tile[0u * PADDED + 12u + c], a3); a3 = fma(p1, v_tile[1u * PADDED + 12u + c], a3);
            a3 = fma(p2, v_tile[2u * PADDED + 12u + c], a3); a3 = fma(p3, v_tile[3u * PADDED + 12u + c], a3);
            a3 = fma(p4, v_tile[4u * PADDED + 12u + c], a3); a3 = fma(p5, v_tile[5u * PADDED + 12u + c], a3);
            a3 = fma(p6, v_tile[6u * PADDED + 12u + c], a3); a3 = fma(p7, v_tile[7u * PADDED + 12u + c], a3);
        }
        if D4 > 16u {
            a4 *= keep;
            a4 = fma(p0, v_tile[0u * PADDED + 16u + c], a4); a4 = fma(p1, v_tile[1u * PADDED + 16u + c], a4);
            a4 = fma(p2, v_tile[2u * PADDED + 16u + c], a4); a4 = fma(p3, v_tile[3u * PADDED + 16u + c], a4);
            a4 = fma(p4, v_tile[4u * PADDED + 16u + c], a4); a4 = fma(p5, v_tile[5u * PADDED + 16u + c], a4);
            a4 = fma(p6, v_tile[6u * PADDED + 16u + c], a4); a4 = fma(p7, v_tile[7u * PADDED + 16u + c], a4);
        }
        if D4 > 20u {
            a5 *= keep;
            a5 = fma(p0, v_tile[0u * PADDED + 20u + c], a5); a5 = fma(p1, v_tile[1u * PADDED + 20u + c], a5);
            a5 = fma(p2, v_tile[2u * PADDED + 20u + c], a5); a5 = fma(p3, v_tile[3u * PADDED + 20u + c], a5);
            a5 = fma(p4, v_tile[4u * PADDED + 20u + c], a5); a5 = fma(p5, v_tile[5u * PADDED + 20u + c], a5);
            a5 = fma(p6, v_tile[6u * PADDED + 20u + c], a5); a5 = fma(p7, v_tile[7u * PADDED + 20u + c], a5);
        }
        if D4 > 24u {
            a6 *= keep;
            a6 = fma(p0, v_tile[0u * PADDED + 24u + c], a6); a6 = fma(p1, v_tile[1u * PADDED + 24u + c], a6);
            a6 = fma(p2, v_tile[2u * PADDED + 24u + c], a6); a6 = fma(p3, v_tile[3u * PADDED + 24u + c], a6);
            a6 = fma(p4, v_tile[4u * PADDED + 24u + c], a6); a6 = fma(p5, v_tile[5u * PADDED + 24u + c], a6);
            a6 = fma(p6, v_tile[6u * PADDED + 24u + c], a6); a6 = fma(p7, v_tile[7u * PADDED + 24u + c], a6);
        }
        if D4 > 28u {
            a7 *= keep;
            a7 = fma(p0, v_tile[0u * PADDED + 28u + c], a7); a7 = fma(p1, v_tile[1u * PADDED + 28u + c], a7);
            a7 = fma(p2, v_tile[2u * PADDED + 28u + c], a7); a7 = fma(p3, v_tile[3u * PADDED + 28u + c], a7);
            a7 = fma(p4, v_tile[4u * PADDED + 28u + c], a7); a7 = fma(p5, v_tile[5u * PADDED + 28u + c], a7);
            a7 = fma(p6, v_tile[6u * PADDED + 28u + c], a7); a7 = fma(p7, v_tile[7u * PADDED + 28u + c], a7);
        }
    }

    if t >= tokens { return; }
    let share = 1.0 / total;
    let out = (group.z * tokens + t) * all_heads + head * D4 + c;
    if D4 > 0u { if 0u + c < D4 { y[out + 0u] = a0 * share; } }
    if D4 > 4u { if 4u + c < D4 { y[out + 4u] = a1 * share; } }
    if D4 > 8u { if 8u + c < D4 { y[out + 8u] = a2 * share; } }
    if D4 > 12u { if 12u + c < D4 { y[out + 12u] = a3 * share; } }
    if D4 > 16u { if 16u + c < D4 { y[out + 16u] = a4 * share; } }
    if D4 > 20u { if 20u + c < D4 { y[out + 20u] = a5 * share; } }
    if D4 > 24u { if 24u + c < D4 { y[out + 24u] = a6 * share; } }
    if D4 > 28u { if 28u + c < D4 { y[out + 28u] = a7 * share; } }
}
