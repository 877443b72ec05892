//! Where two pictures differ: squared error of each pixel, and structural similarity of each window.
//!
//!   squares[b,y,x] = sum over channels of (a - b)²
//!   ssim[b,y,x]    = mean over channels of (2 ma mb + C1) (2 cov + C2) / ((ma² + mb² + C1) (va + vb + C2)),
//!                    weighted means, variances and covariance over the window whose first pixel is (y, x);
//!                    C1 = (0.01 * 255)², C2 = (0.03 * 255)²
//!
//! shapes    a, b [B, H, W] pixels of packed RGBA8, alpha not looked at; squares [B, H, W]; ssim [B, H+1-down, W+1-across];
//!           window [across + down]: weights across, then down, each with sum 1 (11 of a Gaussian of σ 1.5, or fewer on
//!           smaller pictures)
//! grid      one invocation per pixel, 64 to a workgroup, workgroups tiled over x and y
//! memory    none
//! numbers   squares are exact integers: PSNR is the host's 10 log10(255² * 3BHW / sum). SSIM in f32 of differences from
//!           the window's first pixel, so that a flat window has variance 0 and little cancels
//! defined   crate/maetok/src/eval/metrics.rs, `psnr` and `ssim`
//! source    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity"

// count is B * H * W.
struct Params { count: u32, height: u32, width: u32, down: u32, across: u32 }

@group(0) @binding(0) var<storage, read>       a:       array<u32>;       // [B, H, W], RGBA8
@group(0) @binding(1) var<storage, read>       b:       array<u32>;       // [B, H, W], RGBA8
@group(0) @binding(2) var<storage, read>       window:  array<f32>;       // [across + down]
@group(0) @binding(3) var<storage, read_write> squares: array<u32>;       // [B, H, W]
@group(0) @binding(4) var<storage, read_write> ssim:    array<f32>;       // [B, H+1-down, W+1-across]
@group(0) @binding(5) var<storage, read>       params:  Params;

const C1 = vec3<f32>(6.5025);
const C2 = vec3<f32>(58.5225);

fn channels(pixel: u32) -> vec3<f32> {
    return vec3<f32>(vec3<u32>(pixel, pixel >> 8u, pixel >> 16u) & vec3<u32>(255u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let id = (group.y * grid.x + group.x) * 64u + lane;
    if id >= params.count { return; }
    let first_a = channels(a[id]);
    let first_b = channels(b[id]);
    let apart = vec3<u32>(abs(first_a - first_b));
    squares[id] = apart.x * apart.x + apart.y * apart.y + apart.z * apart.z;

    let x = id % params.width;
    let y = id / params.width % params.height;
    let columns = params.width + 1u - params.across;
    let rows = params.height + 1u - params.down;
    if x >= columns || y >= rows { return; }

    var mean_a = vec3<f32>();
    var mean_b = vec3<f32>();
    var square_a = vec3<f32>();
    var square_b = vec3<f32>();
    var cross = vec3<f32>();
    for (var i = 0u; i < params.down; i++) {
        let of_row = window[params.across + i];
        for (var j = 0u; j < params.across; j++) {
            let weight = vec3<f32>(of_row * window[j]);
            let at = id + i * params.width + j;
            let u = channels(a[at]) - first_a;
            let v = channels(b[at]) - first_b;
            mean_a = fma(weight, u, mean_a);
            mean_b = fma(weight, v, mean_b);
            square_a = fma(weight, u * u, square_a);
            square_b = fma(weight, v * v, square_b);
            cross = fma(weight, u * v, cross);
        }
    }
    let variances = fma(-mean_a, mean_a, square_a) + fma(-mean_b, mean_b, square_b);
    let covariance = fma(-mean_a, mean_b, cross);
    let ma = mean_a + first_a;
    let mb = mean_b + first_b;
    let similar = (2.0 * ma * mb + C1) * (2.0 * covariance + C2) / ((ma * ma + mb * mb + C1) * (variances + C2));
    let picture = id / (params.width * params.height);
    ssim[(picture * rows + y) * columns + x] = (similar.x + similar.y + similar.z) / 3.0;
}
