//! Pictures in, pictures out, how far apart two are, and the step between latents. The grid of each kernel is
//! [`crate::grid`] of `count / 64`, rounded up.

use crate::Kernel;
use crate::params::params;

params! {
    /// Of `patch_embed.wgsl`.
    pub struct PatchEmbed {
        /// `B * N * stride`
        count: u32,
        /// `H`
        height: u32,
        /// `W`
        width: u32,
        /// Side of a patch.
        side: u32,
        /// Numbers in a row, at least `3 * side²`; the rest of a row is 0.
        stride: u32,
    }
}

params! {
    /// Of `to_rgba8.wgsl`.
    pub struct ToRgba8 {
        /// `B * H * W`
        count: u32,
        /// Patches in a row of patches.
        columns: u32,
        /// Rows of patches.
        rows: u32,
        /// Side of a patch.
        side: u32,
    }
}

params! {
    /// Of `psnr_ssim.wgsl`.
    pub struct PsnrSsim {
        /// `B * H * W`
        count: u32,
        /// `H`
        height: u32,
        /// `W`
        width: u32,
        /// Rows of the window, 1 to `H`.
        down: u32,
        /// Columns of the window, 1 to `W`.
        across: u32,
    }
}

params! {
    /// Of `guided_step.wgsl`; the header has a table of coefficients.
    pub struct GuidedStep {
        /// `B * L * C`
        count: u32,
        /// 1 if the velocities have a second half, of the null class.
        guided: u32,
        /// How often the new state is written, one after the other.
        copies: u32,
        /// Guidance scale.
        guidance: f32,
        /// New state: weight of the old.
        x_x: f32,
        /// New state: weight of the velocity.
        x_v: f32,
        /// New state: weight of `extra`; where it is 0 `extra` is not read.
        x_e: f32,
        /// Clean latents: weight of the state.
        c_x: f32,
        /// Clean latents: weight of the velocity.
        c_v: f32,
    }
}

/// Picture to rows of patches. Bindings: image, rows, params.
pub const PATCH_EMBED: Kernel = Kernel {
    name: "patch_embed",
    file: wgsl!("patch_embed"),
    workgroup: [64, 1, 1],
    params: PatchEmbed::FIELDS,
    swaps: &[],
};

/// Patches to a picture of bytes. Bindings: patches, edges (see [`edges`]), pixels, params.
pub const TO_RGBA8: Kernel =
    Kernel { name: "to_rgba8", file: wgsl!("to_rgba8"), workgroup: [64, 1, 1], params: ToRgba8::FIELDS, swaps: &[] };

/// Squared errors and structural similarity of two pictures. Bindings: a, b, window, squares, ssim, params.
pub const PSNR_SSIM: Kernel =
    Kernel { name: "psnr_ssim", file: wgsl!("psnr_ssim"), workgroup: [64, 1, 1], params: PsnrSsim::FIELDS, swaps: &[] };

/// Guidance and one step of the integrator. Bindings: x, velocities, extra, next, clean, velocity, params.
pub const GUIDED_STEP: Kernel = Kernel {
    name: "guided_step",
    file: wgsl!("guided_step"),
    workgroup: [64, 1, 1],
    params: GuidedStep::FIELDS,
    swaps: &[],
};

/// The table of edges that [`TO_RGBA8`] rounds by: for each byte the least number that `byte` makes that byte or a
/// larger one, from -infinity for 0.
///
/// # Panics
/// If `byte` does not rise from 0 at -infinity to 255 at infinity.
pub fn edges(byte: impl Fn(f32) -> u8) -> [f32; 256] {
    assert_eq!((byte(f32::NEG_INFINITY), byte(f32::INFINITY)), (0, 255), "bytes of the infinities");
    // Number `order` of all floats, from -infinity up: negative ones count down from their largest.
    let float = |order: i64| match order {
        0.. => f32::from_bits(order as u32),
        _ => -f32::from_bits((-1 - order) as u32),
    };
    let last = i64::from(f32::INFINITY.to_bits());
    std::array::from_fn(|k| {
        let (mut low, mut high) = (-1 - last, last);
        while low < high {
            let middle = (low + high).div_euclid(2);
            if usize::from(byte(float(middle))) >= k { high = middle } else { low = middle + 1 }
        }
        float(high)
    })
}

#[cfg(test)]
mod tests {
    use super::edges;

    #[test]
    fn an_edge_is_the_least_number_of_its_byte() {
        let byte = |v: f32| (127.5 * v + 128.0).clamp(0.0, 255.0) as u8;
        let edges = edges(byte);
        assert_eq!(edges[0], f32::NEG_INFINITY);
        assert!(edges.is_sorted());
        for (k, edge) in edges.into_iter().enumerate().skip(1) {
            assert_eq!((usize::from(byte(edge)), usize::from(byte(edge.next_down()))), (k, k - 1));
        }
    }
}
