//! What happens to queries and keys between their projection and the scores, in place: norm, then rotary positions.
//!
//!   u = x                                                                          norm 0
//!   u = (x - mean) / sqrt(var + eps) * weight + bias                               norm 1, over the head size
//!   u = x / sqrt(mean of x² + eps) * weight                                        norm 2, over the head size
//!   y[2i]   = u[2i] cos[h,n,i] - u[2i+1] sin[h,n,i]
//!   y[2i+1] = u[2i] sin[h,n,i] + u[2i+1] cos[h,n,i]      n = t - first, for image tokens; y = u for the others
//!
//! shapes    qkv [B, T, 3, A, d]: queries and keys change, values do not; cos, sin [A, N, d/2], or [1, N, d/2] where all
//!           heads turn alike; image tokens are first .. first+N; affine [4, d]: weight and bias of the queries' norm,
//!           then of the keys'; d a multiple of 4. What is not asked for (N = 0, norm 0) may be any small buffer
//! grid      one invocation per query or key of a head, 64 to a workgroup, workgroups tiled over x and y
//! memory    none; with a norm each row is read two or three times, from cache after the first
//! numbers   sums in f32, variance in two passes, as PyTorch; NaN and infinities stay in their row
//! defined   crate/maetok/src/nn/rope.rs, `rotate`; nn/norm.rs and nn/rms_norm.rs
//! source    Su et al. 2021, arXiv 2104.09864; Heo et al. 2024, arXiv 2403.13298 (learnt 2-D frequencies)

// rows is B * T * 2A, patches N, table_heads the A or 1 of the tables.
struct Params { rows: u32, tokens: u32, heads: u32, dim: u32, first: u32, patches: u32, table_heads: u32, norm: u32, eps: f32 }

@group(0) @binding(0) var<storage, read_write> qkv:    array<vec4<f32>>;  // [B, T, 3, A, d]
@group(0) @binding(1) var<storage, read>       cosine: array<vec2<f32>>;  // [A or 1, N, d/2]
@group(0) @binding(2) var<storage, read>       sine:   array<vec2<f32>>;  // [A or 1, N, d/2]
@group(0) @binding(3) var<storage, read>       affine: array<vec4<f32>>;  // [4, d]
@group(0) @binding(4) var<storage, read>       params: Params;

fn sum(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.rows { return; }
    let d4 = params.dim / 4u;
    let part = id % (2u * params.heads);          // heads of the queries, then of the keys
    let token = id / (2u * params.heads);         // in the whole batch
    let head = part % params.heads;
    let weight = part / params.heads * 2u * d4;
    let at = (token * 3u * params.heads + part) * d4;

    var mean = 0.0;
    var factor = 1.0;
    if params.norm == 1u {
        var values = vec4<f32>();
        for (var i = 0u; i < d4; i++) { values += qkv[at + i]; }
        mean = sum(values) / f32(params.dim);
    }
    if params.norm != 0u {
        var squares = vec4<f32>();
        for (var i = 0u; i < d4; i++) {
            let away = qkv[at + i] - mean;
            squares = fma(away, away, squares);
        }
        factor = 1.0 / sqrt(sum(squares) / f32(params.dim) + params.eps);
    }

    let n = token % params.tokens - params.first; // wraps around before the first image token, and is then too large
    let table = (min(head, params.table_heads - 1u) * params.patches + n) * d4;
    for (var i = 0u; i < d4; i++) {
        var u = qkv[at + i];
        if params.norm != 0u {
            u = (u - mean) * factor * affine[weight + i];
            if params.norm == 1u { u += affine[weight + d4 + i]; }
        }
        if n < params.patches {
            let c = cosine[table + i];
            let s = sine[table + i];
            u = vec4<f32>(fma(u.x, c.x, -(u.y * s.x)), fma(u.x, s.x, u.y * c.x),
                          fma(u.z, c.y, -(u.w * s.y)), fma(u.z, s.y, u.w * c.y));
        }
        qkv[at + i] = u;
    }
}
