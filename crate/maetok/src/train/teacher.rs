//! The frozen networks whose patch features two of the auxiliary decoders learn to predict: DINOv2 and SigLIP.
//!
//! Both are plain ViTs of timm, with its key names. Only their patch tokens after the last norm are asked for.
//!
//! Source: Oquab et al. 2024, *DINOv2*, arXiv 2304.07193; Zhai et al. 2023, *Sigmoid Loss for Language Image
//! Pre-Training*, arXiv 2303.15343; as MAETok's official code uses them (specification 3.2 and 3.3).
//!
//! Differs from the official code: the patch kernel and the position table must have the wanted size already; timm
//! resamples those of the published files (14-px patches, for DINOv2 a grid of 37 × 37) when it loads them.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, TensorData, assert_shape, s};
use serde::{Deserialize, Serialize};

use crate::nn::PatchEmbed;
use crate::tokenizer::VitSize;
use crate::tokenizer::vit::{Block, FinalNorm, Pass, run_blocks};
use crate::{Error, Result, checkpoint};

/// Mean of ImageNet's pictures in [0, 1], by channel.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Sizes of a [`Teacher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeacherConfig {
    /// Side of the square picture in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// The transformer; its width is the number of values of a target.
    pub size: VitSize,
    /// Values inside the MLP.
    pub mlp: usize,
    /// A class token in front. It is not part of the target.
    pub class_token: bool,
    /// LayerScale on both branches of a block.
    pub layer_scale: bool,
}

impl TeacherConfig {
    /// DINOv2 ViT-L with 16-px patches: timm's `vit_large_patch14_dinov2.lvd142m`, resampled.
    pub fn dinov2_large(image_size: usize) -> Self {
        Self {
            image_size,
            patch_size: 16,
            size: VitSize { width: 1024, depth: 24, heads: 16 },
            mlp: 4096,
            class_token: true,
            layer_scale: true,
        }
    }

    /// SigLIP so400m without the pooling head, with 16-px patches: timm's `vit_so400m_patch14_siglip_gap_224`, resampled.
    pub fn siglip_so400m(image_size: usize) -> Self {
        Self {
            image_size,
            patch_size: 16,
            size: VitSize { width: 1152, depth: 27, heads: 16 },
            mlp: 4304,
            class_token: false,
            layer_scale: false,
        }
    }

    /// Number of patches, `N`.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// A teacher with fresh weights, which has nothing to teach yet: for tests, and to be filled from a file.
    ///
    /// # Errors
    /// [`Error::Config`] if the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<Teacher> {
        let VitSize { width, depth, heads } = self.size;
        if self.patch_size == 0 || self.image_size == 0 || !self.image_size.is_multiple_of(self.patch_size) {
            return Err(Error::config("teacher image_size", self.image_size, "a multiple of the teacher's patch size"));
        }
        if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
            return Err(Error::config("teacher heads", heads, "a divisor of the teacher's width"));
        }
        let token = |rows: usize| Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, rows, width], device);
        let scale = self.layer_scale.then_some(1e-5);
        Ok(Teacher {
            cls_token: self.class_token.then(|| token(1)),
            pos_embed: token(self.patches() + usize::from(self.class_token)),
            patch_embed: PatchEmbed::new(width, self.patch_size, device),
            blocks: (0..depth).map(|_| Block::plain(self.size, self.mlp, scale, device)).collect(),
            norm: FinalNorm::plain(width, device),
            image_size: self.image_size,
        })
    }

    /// A teacher with the weights of safetensors files under timm's names, off the autodiff device.
    ///
    /// # Errors
    /// [`Error::Config`] as [`init`](Self::init), [`Error::Weights`] or [`Error::WeightsMismatch`] for the files.
    pub fn load(&self, files: &[&[u8]], device: &Device) -> Result<Teacher> {
        let teacher = self.init(&device.clone().inner())?;
        Ok(checkpoint::load(teacher, files)?.0.no_grad())
    }
}

/// See the module text. Made by [`TeacherConfig::load`]. Field names are timm's keys.
#[derive(Module, Debug)]
pub struct Teacher {
    /// `[1, 1, D]`
    cls_token: Option<Param<Tensor<3>>>,
    /// `[1, N, D]`, or `[1, N+1, D]` with the class token first.
    pos_embed: Param<Tensor<3>>,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    norm: FinalNorm,
    image_size: usize,
}

impl Teacher {
    /// The target of an auxiliary decoder: patch tokens after the last norm, without the class token. No gradient
    /// reaches the teacher or the picture.
    ///
    /// # Shapes
    /// - `picture`: `[B, 3, H, W]`, values in [-1, 1]
    /// - returns `[B, N, D]`, off the autodiff device
    ///
    /// # Panics
    /// If `picture` is not `[_, 3, image_size, image_size]`.
    pub fn targets(&self, picture: Tensor<4>) -> Tensor<3> {
        let first = usize::from(self.cls_token.is_some());
        self.tokens(imagenet_normalised(picture.inner())).inner().slice(s![.., first.., ..])
    }

    /// All tokens after the last norm, class token first, of an [`imagenet_normalised`] picture.
    pub(super) fn tokens(&self, picture: Tensor<4>) -> Tensor<3> {
        assert_shape!(picture, [_, 3, self.image_size, self.image_size]);
        let mut x = self.patch_embed.forward(picture); // [B, N, D]
        let [batch, ..] = x.dims();
        if let Some(cls) = &self.cls_token {
            x = Tensor::cat(vec![cls.val().repeat_dim(0, batch), x], 1); // [B, 1+N, D]
        }
        let x = run_blocks(&self.blocks, x + self.pos_embed.val(), &Pass::default(), &mut ());
        self.norm.forward_image(x)
    }
}

/// A picture in [-1, 1] as networks trained on ImageNet want it. Shapes: `[B, 3, H, W] -> [B, 3, H, W]`.
///
/// SigLIP was trained with mean and deviation 0.5; MAETok gives it ImageNet's all the same, and so do we.
pub fn imagenet_normalised(picture: Tensor<4>) -> Tensor<4> {
    let device = picture.device();
    let row = |values: [f32; 3]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), &device);
    ((picture + 1.0) * 0.5 - row(IMAGENET_MEAN)) / row(IMAGENET_STD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_tensors_of_the_published_teachers() {
        let (dino, siglip) = (TeacherConfig::dinov2_large(256), TeacherConfig::siglip_so400m(256));
        // Names are those of the reference file that the parity test loads; counts are of the official key tables.
        for (config, tensors, elements, last) in [
            (dino, 342, 303_412_224, ("blocks.23.ls2.gamma", vec![1024])),
            (siglip, 329, 412_649_712, ("blocks.26.mlp.fc2.weight", vec![1152, 4304])),
        ] {
            // Parameters are drawn when they are first read, so a preset costs nothing here.
            let keys = checkpoint::shapes(&config.init(&Device::flex()).unwrap());
            assert_eq!(keys.len(), tensors);
            assert_eq!(keys.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>(), elements);
            let (name, shape) = last;
            assert!(keys.contains(&(name.to_owned(), shape)), "no {name}");
        }
    }

    #[test]
    fn a_teacher_takes_and_gives_no_gradient() {
        let device = Device::flex().autodiff();
        let size = VitSize { width: 16, depth: 1, heads: 2 };
        let config = TeacherConfig { size, mlp: 24, ..TeacherConfig::dinov2_large(32) };
        // Even one whose weights would take gradients.
        let teacher = config.init(&device).unwrap();
        let picture = Tensor::<4>::zeros([2, 3, 32, 32], &device).require_grad();
        let target = teacher.targets(picture);
        assert_eq!(target.dims(), [2, 4, 16]);
        assert!(!target.is_autodiff());
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused_by_name() {
        let odd = TeacherConfig { image_size: 250, ..TeacherConfig::dinov2_large(256) };
        assert!(odd.init(&Device::flex()).unwrap_err().to_string().contains("image_size"));
        let size = VitSize { width: 30, depth: 1, heads: 4 };
        let odd = TeacherConfig { size, ..TeacherConfig::siglip_so400m(256) };
        assert!(odd.init(&Device::flex()).unwrap_err().to_string().contains("heads"));
    }
}
