//! Layer norm or RMS norm with what follows it, one invocation per row: for software and small adapters.
//!
//!   n = (x - mean) / sqrt(var + eps)          CENTRED true: layer norm
//!   n = x / sqrt(mean of x² + eps)            CENTRED false: RMS norm
//!   y[b,t,:] = n * weight * (one + scale[m,:]) + shift[m,:]     for t >= first; y = n * weight for the tokens before
//!   m = b * per_sample + (t - first) * per_token
//!
//!   use                        weighted  first   per_sample, per_token  one  scale and shift are
//!   plain                      0         T       0, 0                   0    any small buffers
//!   affine                     0         0       0, 0                   0    the norm's weight and bias, [D] each
//!   adaLN                      0         0       1, 0                   1    parts of a table of modulations, a row per sample
//!   MoVQ, latents come last    0         T - L   L, 1                   0    parts of a table, a row per latent token
//!   RMS norm with adaLN        1         0       1, 0                   1    as adaLN; the weight is [D]
//!
//! shapes    x, y [B*T, D]; weight [D], read if weighted is 1; scale and shift: rows of `stride` numbers, the part used
//!           begins at scale_at and shift_at, so that both may be one table [.., parts*D], bound twice; D, stride,
//!           scale_at and shift_at multiples of 4
//! grid      one invocation per row, 32 to a workgroup, workgroups tiled over x and y
//! memory    none, no barrier; x is read three times, from cache after the first
//! numbers   sums in f32; two-pass variance, as PyTorch; NaN and infinities stay in their row
//! defined   crate/maetok/src/nn/norm.rs, nn/rms_norm.rs   launched from   crate/maetok/src/kernels/norm.rs
//! source    Ba et al. 2016, arXiv 1607.06450; Peebles & Xie 2022, arXiv 2212.09748 (adaLN-Zero); Zhang and Sennrich 2019,
//!           arXiv 1910.07467 (RMS norm)

const CENTRED = true;                 // false: RMS norm. The host swaps this line

// rows is B * T, tokens T.
struct Params {
    rows: u32, tokens: u32, width: u32, first: u32, per_sample: u32, per_token: u32,
    stride: u32, scale_at: u32, shift_at: u32, weighted: u32, one: f32, eps: f32,
}

@group(0) @binding(0) var<storage, read>       x:      array<vec4<f32>>;  // [B*T, D]
@group(0) @binding(1) var<storage, read>       weight: array<vec4<f32>>;  // [D]
@group(0) @binding(2) var<storage, read>       scale:  array<vec4<f32>>;  // [rows of modulation, stride]
@group(0) @binding(3) var<storage, read>       shift:  array<vec4<f32>>;  // [rows of modulation, stride]
@group(0) @binding(4) var<storage, read_write> y:      array<vec4<f32>>;  // [B*T, D]
@group(0) @binding(5) var<storage, read>       params: Params;

fn sum(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = (group.y * grid.x + group.x) * 32u + lane;
    if row >= params.rows { return; }
    let d4 = params.width / 4u;
    let at = row * d4;

    var mean = 0.0;
    if CENTRED {
        var values = vec4<f32>();
        for (var i = 0u; i < d4; i++) { values += x[at + i]; }
        mean = sum(values) / f32(params.width);
    }
    var squares = vec4<f32>();
    for (var i = 0u; i < d4; i++) {
        let away = x[at + i] - mean;
        squares = fma(away, away, squares);
    }
    let factor = 1.0 / sqrt(sum(squares) / f32(params.width) + params.eps);

    let t = row % params.tokens;
    let modulation = (row / params.tokens * params.per_sample + (t - params.first) * params.per_token) * params.stride;
    let scales = (modulation + params.scale_at) / 4u;
    let shifts = (modulation + params.shift_at) / 4u;
    for (var i = 0u; i < d4; i++) {
        var n = (x[at + i] - mean) * factor;
        if params.weighted == 1u { n *= weight[i]; }
        if t >= params.first { n = fma(n, params.one + scale[scales + i], shift[shifts + i]); }
        y[at + i] = n;
    }
}
