//! Guidance and one step of the integrator, in one pass over the latents.
//!
//!   v     = null + guidance * (class - null), or class alone
//!   next  = x_x x + x_v v + x_e extra
//!   clean = c_x x + c_v v
//!
//!   step                       x_x, x_v                     x_e, extra
//!   Euler                      1, dt                        0
//!   Heun, first half           1, dt                        0           next is the state ahead
//!   Heun, second half          1, dt/2                      dt/2, the first half's v; x as in the first half
//!   Euler–Maruyama             linear in x and v: drift     sqrt(2 t |dt|), standard normal noise; 0 in the last step
//!
//! shapes    x, extra, clean, velocity [B, L, C], count = B*L*C; velocities [B, L, C], or [2B, L, C] with the class's half
//!           first if guided is 1; next [copies * B, L, C], the state copies times, as the model's next batch wants it
//! grid      one invocation per number, 64 to a workgroup, workgroups tiled over x and y
//! memory    none; without extra (x_e = 0) its buffer may be any small one
//! numbers   f32; the host computes the coefficients in f64. NaN and infinities stay in their place
//! defined   crate/maetok/src/sampler: guidance.rs, euler.rs, heun.rs, euler_maruyama.rs; diffusion/path.rs, `data`.
//!           Differs: those keep the state in f64
//! source    Ho & Salimans 2022, arXiv 2207.12598 (guidance); Ma et al. 2024, arXiv 2401.08740 (the samplers)

struct Params {
    count: u32, guided: u32, copies: u32, guidance: f32,
    x_x: f32, x_v: f32, x_e: f32, c_x: f32, c_v: f32,
}

@group(0) @binding(0) var<storage, read>       x:          array<f32>;    // [B, L, C]
@group(0) @binding(1) var<storage, read>       velocities: array<f32>;    // [B or 2B, L, C]
@group(0) @binding(2) var<storage, read>       extra:      array<f32>;    // [B, L, C]
@group(0) @binding(3) var<storage, read_write> next:       array<f32>;    // [copies * B, L, C]
@group(0) @binding(4) var<storage, read_write> clean:      array<f32>;    // [B, L, C]
@group(0) @binding(5) var<storage, read_write> velocity:   array<f32>;    // [B, L, C]
@group(0) @binding(6) var<storage, read>       params:     Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * grid.x + group.x) * 64u + lane;
    if i >= params.count { return; }
    var v = velocities[i];
    if params.guided == 1u {
        let without = velocities[params.count + i];
        v = fma(params.guidance, v - without, without);
    }
    let state = x[i];
    var after = fma(params.x_v, v, params.x_x * state);
    if params.x_e != 0.0 { after = fma(params.x_e, extra[i], after); }
    for (var copy = 0u; copy < params.copies; copy++) { next[copy * params.count + i] = after; }
    clean[i] = fma(params.c_v, v, params.c_x * state);
    velocity[i] = v;
}
