//! Targets for an auxiliary decoder: what a frozen network sees at every patch.
//!
//! Stands where MAETok has DINOv2 and SigLIP (specification 3), whose weights are not ours to ship. The decoder is
//! compared with the target by its cosine. That needs features that do not all point the same way, which holds here,
//! because a stage ends in a batch normalisation with hardly any shift: two random patches of Toon's held-out pictures
//! have a cosine of 0.2 to 0.3 on average at stages 2 to 4 (64 pixels, network side 64 or 128).

use burn::module::Module;
use burn::tensor::Tensor;

use super::{EfficientNetLite0, STAGES, resize, untracked};
use crate::{Error, Result};

/// See the module text.
#[derive(Module, Debug)]
pub struct PatchTeacher {
    network: EfficientNetLite0,
    stage: usize,
    /// Patches along a side.
    grid: usize,
}

impl PatchTeacher {
    /// Reads stage `stage` of [`STAGES`] for pictures of `image_size` pixels in patches of `patch_size`.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such stage, or if pictures do not divide into patches.
    pub fn new(network: EfficientNetLite0, stage: usize, image_size: usize, patch_size: usize) -> Result<Self> {
        if stage >= STAGES.len() {
            return Err(Error::setting("stage", stage, format!("from 0 to {}", STAGES.len() - 1)));
        }
        if patch_size == 0 || image_size == 0 || !image_size.is_multiple_of(patch_size) {
            return Err(Error::setting("patch_size", patch_size, format!("a divisor of the {image_size} pixels")));
        }
        Ok(Self { network, stage, grid: image_size / patch_size })
    }

    /// Values per patch, `T`: the stage's channels.
    pub fn target_size(&self) -> usize {
        STAGES[self.stage].channels
    }

    /// The targets of a batch, without gradient. The stage's map is brought to the patch grid by [`resize`]: averaged
    /// where it is finer, bilinear where it is coarser.
    ///
    /// # Shapes
    /// `[B, 3, H, W]` in [-1, 1] -> `[B, N, T]`, patches row by row
    pub fn targets(&self, pictures: Tensor<4>) -> Tensor<3> {
        let map = self.network.stages(untracked(pictures), self.stage + 1).remove(self.stage);
        let map = resize(map, self.grid, self.grid); // [B, T, grid, grid]
        let [batch, channels, ..] = map.dims();
        map.reshape([batch, channels, self.grid * self.grid]).swap_dims(1, 2)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, s};

    use super::super::efficientnet::shipped;
    use super::super::parity::pictures;
    use super::*;

    #[test]
    fn a_change_in_one_patch_shows_in_its_target_and_not_far_away() {
        let device = Device::flex();
        let teacher = PatchTeacher::new(shipped(64, &device), 0, 64, 8).unwrap();
        assert_eq!(teacher.target_size(), 16);
        let picture = pictures(&device).slice(s![0..1]);
        // Four pixels in the middle of patch row 1, column 5.
        let changed = picture.clone().slice_assign(s![.., .., 10..14, 42..46], Tensor::ones([1, 3, 4, 4], &device));
        let difference = (teacher.targets(changed) - teacher.targets(picture)).square().sum_dim(2);
        let per_patch: Vec<f32> = difference.into_data().try_to_vec().unwrap();
        assert_eq!(per_patch.len(), 64);
        let largest = (0..64).max_by(|a, b| per_patch[*a].total_cmp(&per_patch[*b]));
        assert_eq!(largest, Some(8 + 5), "{per_patch:?}");
        let far = (0..64).filter(|n| (n / 8_usize).abs_diff(1) > 1 || (n % 8_usize).abs_diff(5) > 1);
        assert!(far.map(|n| per_patch[n]).all(|d| d == 0.0), "{per_patch:?}");
    }

    #[test]
    fn targets_take_no_gradient() {
        let device = Device::flex().autodiff();
        let teacher = PatchTeacher::new(shipped(64, &device), 2, 64, 8).unwrap();
        let targets = teacher.targets(pictures(&device).require_grad());
        assert_eq!(targets.dims(), [3, 64, 40]);
        assert!(!targets.is_tracked());
    }

    #[test]
    fn stages_and_patches_that_do_not_exist_are_refused() {
        let device = Device::flex();
        let network = shipped(64, &device);
        for (stage, image, patch, name) in [(7, 64, 8, "stage"), (0, 64, 7, "patch_size"), (0, 64, 0, "patch_size")] {
            let refused = PatchTeacher::new(network.clone(), stage, image, patch).unwrap_err();
            assert!(matches!(refused, Error::Setting { name: n, .. } if n == name), "{refused}");
        }
    }
}
