//! A picture as rows of patches, and patches as a picture.

use std::sync::LazyLock;

use burn::tensor::{Int, Tensor};
use maetok_shaders::grid;
use maetok_shaders::pixels::{PATCH_EMBED, PatchEmbed, TO_RGBA8, ToRgba8, edges};

use super::choice::{self, Family};
use super::cpu;
use super::launch::{Buffer, Slot, launch};
use super::linear::number;
use crate::image::Rounding;

/// `[B, 3, H, W] -> [B*N, 3*p*p]` for patches of `side` pixels; `None` where no kernel can.
pub fn patch_rows(image: &Tensor<4>, side: usize) -> Option<Tensor<2>> {
    let [batch, channels, height, width] = image.dims();
    let fits = channels == 3 && side > 0 && height.is_multiple_of(side) && width.is_multiple_of(side);
    if !fits || batch * height * width == 0 {
        return None;
    }
    if let Some(rows) = cpu::patch_rows(image, side) {
        return Some(rows);
    }
    let input = Buffer::of(image)?;
    choice::only(input.device(), Family::PatchEmbed)?;
    let (rows, stride) = (batch * (height / side) * (width / side), 3 * side * side);
    let params = PatchEmbed {
        count: number(rows * stride)?,
        height: number(height)?,
        width: number(width)?,
        side: number(side)?,
        stride: number(stride)?,
    };
    let out = input.fresh([rows, stride]);
    launch(
        &PATCH_EMBED,
        &[],
        grid(u64::from(params.count.div_ceil(64))),
        &[Slot::In(&input), Slot::Out(&out)],
        &params.words(),
    );
    Some(out.tensor())
}

/// Patches of square pictures as pixels of RGBA, the red byte lowest, alpha 255; `None` where no kernel can.
///
/// # Shapes
/// - `patches`: `[B, N, 3*p*p]` for patches of `side` pixels, `N` a square number
/// - returns `[B, H, W]`
pub fn to_rgba8(patches: &Tensor<3>, side: usize, rounding: Rounding) -> Option<Tensor<3, Int>> {
    let [batch, count, numbers] = patches.dims();
    let rows = count.isqrt();
    if rows * rows != count || numbers != 3 * side * side || batch * count * numbers == 0 {
        return None;
    }
    let input = Buffer::of(patches)?;
    choice::only(input.device(), Family::ToRgba8)?;
    let params = ToRgba8 {
        count: number(batch * count * side * side)?,
        columns: number(rows)?,
        rows: number(rows)?,
        side: number(side)?,
    };
    // Looked for once: a run shows a dozen pictures.
    static EDGES: LazyLock<[[u32; 256]; 2]> = LazyLock::new(|| {
        [Rounding::Generated, Rounding::Reconstructed].map(|it| edges(|value| it.byte(value)).map(f32::to_bits))
    });
    let edges = &EDGES[rounding as usize];
    let out = input.fresh([batch, rows * side, rows * side]);
    launch(
        &TO_RGBA8,
        &[],
        grid(u64::from(params.count.div_ceil(64))),
        &[Slot::In(&input), Slot::Constant(edges), Slot::Out(&out)],
        &params.words(),
    );
    Some(out.words())
}
