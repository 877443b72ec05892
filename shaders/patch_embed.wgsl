//! Cuts a picture into patches, one row each, ready for a linear kernel: with it, the patch embedding.
//!
//!   rows[b*N + n, (c*p + i)*p + j] = image[b, c, p*(n / columns) + i, p*(n % columns) + j];  0 from 3*p*p to stride
//!
//! shapes    image [B, 3, H, W], H and W multiples of p = side; rows [B*N, stride], N = H/p * W/p, stride >= 3*p*p: the
//!           linear kernel's K, a multiple of 4
//! grid      one invocation per number, 64 to a workgroup, workgroups tiled over x and y
//! memory    none
//! numbers   a copy: every bit stays
//! defined   crate/maetok/src/nn/patch_embed.rs, `PatchEmbed::patches`. The product is left to the linear kernel: its
//!           weight is the checkpoint's [D, 3, p, p] as [3*p*p, D], its rows past 3*p*p zero
//! source    Dosovitskiy et al. 2020, arXiv 2010.11929 (patch embedding)

// count is B * N * stride.
struct Params { count: u32, height: u32, width: u32, side: u32, stride: u32 }

// Bits, not numbers: a device may change a NaN, or flush a denormal, that it loads as f32.
@group(0) @binding(0) var<storage, read>       image:  array<u32>;        // [B, 3, H, W], bits of f32
@group(0) @binding(1) var<storage, read_write> rows:   array<u32>;        // [B*N, stride], bits of f32
@group(0) @binding(2) var<storage, read>       params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.count { return; }
    let p = params.side;
    let columns = params.width / p;
    let patches = params.height / p * columns;
    let row = id / params.stride;
    let k = id % params.stride;
    let channel = k / (p * p);
    if channel >= 3u {
        rows[id] = 0u;
        return;
    }
    let n = row % patches;
    let y = n / columns * p + k / p % p;
    let x = n % columns * p + k % p;
    rows[id] = image[((row / patches * 3u + channel) * params.height + y) * params.width + x];
}
