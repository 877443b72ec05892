//! The decoder's patches as a picture of packed RGBA8, ready for a canvas.
//!
//!   generated       byte = trunc((clamp(v, -1, 1) + 1) / 2 * 255)
//!   reconstruction  byte = trunc(clamp(127.5 v + 128, 0, 255)),  the official scoring's
//!   pixel = r | g << 8 | b << 16 | 255 << 24: bytes in the order R, G, B, A; nothing is premultiplied
//!
//! shapes    patches [B, N, 3*p*p], inside a patch (row * p + column) * 3 + channel, N = rows * columns of patches;
//!           pixels [B, H, W], H = rows * p, W = columns * p
//! grid      one invocation per pixel, 64 to a workgroup, workgroups tiled over x and y
//! memory    none
//! numbers   the same bytes as the definition's f32: each formula is written so that neither fused multiply-adds nor an
//!           inexact division can change it. NaN gives 0, infinities 0 and 255
//! defined   crate/maetok/src/image/convert.rs, `generated_byte` and `reconstruction_byte`; nn/patch_embed.rs, `unpatchify`
//! source    Chen et al. 2025, arXiv 2502.03444; official code, commit `f4d60a0`

// count is B * H * W; reconstruction is 1 or 0.
struct Params { count: u32, columns: u32, rows: u32, patch: u32, reconstruction: u32 }

@group(0) @binding(0) var<storage, read>       patches: array<u32>;       // [B, N, 3*p*p], bits of f32
@group(0) @binding(1) var<storage, read_write> pixels:  array<u32>;       // [B, H, W]
@group(0) @binding(2) var<storage, read>       params:  Params;

fn byte(bits: u32) -> u32 {
    // Told by its bits: a compiler may take it that no number is NaN, and clamp() may give anything for one.
    if (bits & 0x7fffffffu) > 0x7f800000u { return 0u; }
    let v = bitcast<f32>(bits);
    if params.reconstruction == 1u {
        // Beyond ±2 the byte is settled; the clamp keeps infinity - infinity out. 128 v and v / 2 are exact, so their
        // difference is 127.5 v rounded once, whether or not it is fused.
        let w = clamp(v, -2.0, 2.0);
        return u32(clamp((128.0 * w - 0.5 * w) + 128.0, 0.0, 255.0));
    }
    return u32((clamp(v, -1.0, 1.0) + 1.0) * 0.5 * 255.0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.count { return; }
    let p = params.patch;
    let width = params.columns * p;
    let height = params.rows * p;
    let x = id % width;
    let y = id / width % height;
    let picture = id / (width * height);
    let patch = (picture * params.rows + y / p) * params.columns + x / p;
    let at = ((patch * p + y % p) * p + x % p) * 3u;
    pixels[id] = byte(patches[at]) | byte(patches[at + 1u]) << 8u | byte(patches[at + 2u]) << 16u | 0xff000000u;
}
