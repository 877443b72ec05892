//! The decoder's patches as a picture of packed RGBA8, ready for a canvas.
//!
//!   byte  = the largest k with edges[k] <= v, so that any monotone rounding is met to the bit
//!   pixel = r | g << 8 | b << 16 | 255 << 24: bytes in the order R, G, B, A; nothing is premultiplied
//!
//! shapes    patches [B, N, 3*p*p], inside a patch (row * p + column) * 3 + channel, N = rows * columns of patches, p = side;
//!           edges [256], ascending from -infinity: edges[k] is the least number of byte k or above; pixels [B, H, W],
//!           H = rows * p, W = columns * p
//! grid      one invocation per pixel, 64 to a workgroup, workgroups tiled over x and y
//! memory    none
//! numbers   a formula would not do: where 127.5 v + 128 becomes one fused multiply-add, bytes at edges differ. The
//!           formula here may be off by one, comparisons put it right. NaN gives 0, infinities 0 and 255
//! defined   crate/maetok/src/image/convert.rs, `generated_byte` and `reconstruction_byte`; nn/patch_embed.rs, `unpatchify`
//! source    Chen et al. 2025, arXiv 2502.03444; official code, commit `f4d60a0`

// count is B * H * W.
struct Params { count: u32, columns: u32, rows: u32, side: u32 }

@group(0) @binding(0) var<storage, read>       patches: array<u32>;       // [B, N, 3*p*p], bits of f32
@group(0) @binding(1) var<storage, read>       edges:   array<f32>;       // [256]
@group(0) @binding(2) var<storage, read_write> pixels:  array<u32>;       // [B, H, W]
@group(0) @binding(3) var<storage, read>       params:  Params;

fn byte(bits: u32) -> u32 {
    // Told by its bits: a compiler may take it that no number is NaN, and clamp() may give anything for one.
    if (bits & 0x7fffffffu) > 0x7f800000u { return 0u; }
    let v = bitcast<f32>(bits);
    // Between 127.5 v + 127.5, a generated picture's, and 127.5 v + 128, a reconstruction's.
    let near = u32(clamp(fma(127.5, clamp(v, -2.0, 2.0), 127.75), 0.0, 255.0));
    let above = min(near + 1u, 255u);
    if v >= edges[above] { return above; }
    if v >= edges[near] { return near; }
    return near - 1u;                 // not below 0: edges[0] is -infinity
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.count { return; }
    let p = params.side;
    let width = params.columns * p;
    let height = params.rows * p;
    let x = id % width;
    let y = id / width % height;
    let picture = id / (width * height);
    let tile = (picture * params.rows + y / p) * params.columns + x / p;
    let at = ((tile * p + y % p) * p + x % p) * 3u;
    pixels[id] = byte(patches[at]) | (byte(patches[at + 1u]) << 8u) | (byte(patches[at + 2u]) << 16u) | 0xff000000u;
}
