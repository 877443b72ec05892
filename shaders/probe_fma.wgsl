//! How many multiply-adds can this adapter do at most? Sums held in registers, nothing read, next to nothing written.
//!
//!   c[j] = c[j] * a + b, `rounds` times, for 16 vec4 c[j] per invocation: 128 floating-point operations a round
//!   MATRIX: c[j] = M c[j] + b, once for four rounds, which is as many: software adapters do it twice as fast
//!
//! shapes    y [count]: one number per invocation, so that no compiler can leave the sums out
//! grid      64 invocations to a workgroup, workgroups tiled over x and y
//! memory    none; accumulators in named registers
//! numbers   factors near 1 and small summands: nothing overflows or vanishes
//! defined   shaders/tests/probe.rs   launched from   crate/maetok/src/kernels/probe.rs
//! source    Williams, Waterman and Patterson 2009, "Roofline": a peak to compare with; two operations per multiply-add

const MATRIX = false;                 // the host swaps this line

struct Params { count: u32, rounds: u32, factor: f32 }

@group(0) @binding(0) var<storage, read_write> y:      array<f32>;        // [count]
@group(0) @binding(1) var<storage, read>       params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.count { return; }
    let a = vec4<f32>(params.factor);
    let b = vec4<f32>(f32(id % 64u)) * 1e-4;
    var c0 = b; var c1 = b + 0.1; var c2 = b + 0.2; var c3 = b + 0.3;
    var c4 = b + 0.4; var c5 = b + 0.5; var c6 = b + 0.6; var c7 = b + 0.7;
    // All different: what is computed twice, a compiler computes once.
    var d0 = b + 0.8; var d1 = b - 0.1; var d2 = b - 0.2; var d3 = b - 0.3;
    var d4 = b - 0.4; var d5 = b - 0.5; var d6 = b - 0.6; var d7 = b - 0.7;
    for (var i = 0u; !MATRIX && i < params.rounds; i++) {
        c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b); c3 = fma(c3, a, b);
        c4 = fma(c4, a, b); c5 = fma(c5, a, b); c6 = fma(c6, a, b); c7 = fma(c7, a, b);
        d0 = fma(d0, a, b); d1 = fma(d1, a, b); d2 = fma(d2, a, b); d3 = fma(d3, a, b);
        d4 = fma(d4, a, b); d5 = fma(d5, a, b); d6 = fma(d6, a, b); d7 = fma(d7, a, b);
    }
    let m = mat4x4<f32>(0.4 * a, 0.3 * a, 0.2 * a, 0.1 * a);
    for (var i = 0u; MATRIX && i < params.rounds; i += 4u) {
        c0 = m * c0 + b; c1 = m * c1 + b; c2 = m * c2 + b; c3 = m * c3 + b;
        c4 = m * c4 + b; c5 = m * c5 + b; c6 = m * c6 + b; c7 = m * c7 + b;
        d0 = m * d0 + b; d1 = m * d1 + b; d2 = m * d2 + b; d3 = m * d3 + b;
        d4 = m * d4 + b; d5 = m * d5 + b; d6 = m * d6 + b; d7 = m * d7 + b;
    }
    let sum = ((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7)) + ((d0 + d1) + (d2 + d3)) + ((d4 + d5) + (d6 + d7));
    y[id] = (sum.x + sum.y) + (sum.z + sum.w);
}
