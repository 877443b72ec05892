//! A picture as rows of patches.

use burn::tensor::Tensor;
use maetok_shaders::grid;
use maetok_shaders::pixels::{PATCH_EMBED, PatchEmbed};

use super::launch::{Buffer, Slot, launch};
use super::linear::number;
use super::{choice, cpu};

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
    choice::patches(input.device())?;
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
