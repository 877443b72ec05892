//! DiffAugment: what both kinds of pictures go through before the discriminator, so that it cannot learn a small set by
//! heart. Differentiable, so that the generator learns through it.
//!
//! Three policies in this order, each for the whole batch or not at all: *colour* (brightness, saturation, contrast),
//! *translation* (an integer shift, zeros move in), *cutout* (a square of zeros). Their numbers are drawn per picture.
//! The draws are passed in, so a run repeats to the last bit and a test can pass recorded ones.
//!
//! Source: Zhao et al. 2020, *Differentiable Augmentation for Data-Efficient GAN Training*, arXiv 2006.10738; strengths
//! and gates as in MAETok's training code. Differs from the official code: square pictures only.

use burn::tensor::{Device, Tensor, TensorData, assert_shape};

use crate::rng::Rng;

/// How often and how strongly pictures are augmented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AugmentPolicy {
    /// Each of the three is applied with this probability.
    pub probability: f64,
    /// Largest shift over the picture's side.
    pub translation: f64,
    /// Side of the zero square over the picture's side.
    pub cutout: f64,
}

impl AugmentPolicy {
    /// What the adversarial losses see.
    pub const WEAK: Self = Self { probability: 0.5, translation: 0.125, cutout: 0.2 };
    /// What the consistency term compares it with: everything, always.
    pub const STRONG: Self = Self { probability: 1.0, translation: 0.125, cutout: 0.5 };

    /// Largest shift of a picture, in pixels.
    pub fn largest_shift(&self, side: usize) -> usize {
        (side as f64 * self.translation + 0.5) as usize
    }

    /// Side of the zero square, in pixels.
    pub fn cutout_side(&self, side: usize) -> usize {
        (side as f64 * self.cutout + 0.5) as usize
    }
}

/// All draws of one augmentation of a batch, also those that a closed gate leaves unused: so the position in the stream of
/// random numbers does not depend on the gates.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentDraws {
    /// What is done if a gate opens.
    pub policy: AugmentPolicy,
    /// Uniform in [0, 1): colour, translation and cutout happen where this is at most the policy's probability.
    pub gates: [f64; 3],
    /// Per picture, uniform in [0, 1): brightness, saturation, contrast.
    pub colour: Vec<[f64; 3]>,
    /// Per picture, rows and columns by which the picture moves up and left, in pixels.
    pub shift: Vec<[isize; 2]>,
    /// Per picture, row and column of the middle of the zero square; for an even square one past the border is possible.
    pub centre: Vec<[usize; 2]>,
}

impl AugmentDraws {
    /// Draws for a batch of square pictures of `side` pixels.
    pub fn new(rng: &mut Rng, policy: AugmentPolicy, batch: usize, side: usize) -> Self {
        let (reach, centres) = (policy.largest_shift(side), side + 1 - policy.cutout_side(side) % 2);
        let gates = [(); 3].map(|()| rng.uniform());
        let mut colour = Vec::with_capacity(batch);
        let mut shift = Vec::with_capacity(batch);
        let mut centre = Vec::with_capacity(batch);
        for _ in 0..batch {
            colour.push([(); 3].map(|()| rng.uniform()));
            shift.push([(); 2].map(|()| rng.below(2 * reach + 1) as isize - reach as isize));
            centre.push([(); 2].map(|()| rng.below(centres)));
        }
        Self { policy, gates, colour, shift, centre }
    }

    /// The draws of some of the pictures, for a batch that is computed in parts.
    ///
    /// # Panics
    /// If the batch has no such pictures.
    pub fn part(&self, pictures: std::ops::Range<usize>) -> Self {
        Self {
            colour: self.colour[pictures.clone()].to_vec(),
            shift: self.shift[pictures.clone()].to_vec(),
            centre: self.centre[pictures].to_vec(),
            ..self.clone()
        }
    }

    /// Which of colour, translation and cutout happen.
    pub fn open(&self) -> [bool; 3] {
        self.gates.map(|gate| gate <= self.policy.probability)
    }

    /// Augments a batch: `[B, 3, H, H] -> [B, 3, H, H]`.
    ///
    /// # Panics
    /// If the pictures are not square or not as many as were drawn for.
    pub fn apply(&self, picture: Tensor<4>) -> Tensor<4> {
        let (batch, [.., side]) = (self.colour.len(), picture.dims());
        assert_shape!(picture, [batch, _, side, side]);
        let [colour, translation, cutout] = self.open();
        let mut picture = picture;
        if colour {
            picture = recolour(picture, &self.colour);
        }
        if translation {
            picture = translate(picture, &self.shift);
        }
        if cutout {
            picture = cut(picture, &self.centre, self.policy.cutout_side(side));
        }
        picture
    }
}

/// With draws `u` of a picture and means of that picture: `x + (u₀ - 1/2)`, then `(x - m) 2u₁ + m` with `m` the mean over
/// the channels at each pixel, then `(x - m) (u₂ + 1/2) + m` with `m` the mean over everything.
fn recolour(picture: Tensor<4>, draws: &[[f64; 3]]) -> Tensor<4> {
    let device = picture.device();
    let [batch, channels, height, width] = picture.dims();
    let factor = |value: &dyn Fn(&[f64; 3]) -> f64| {
        let values: Vec<f32> = draws.iter().map(|draw| value(draw) as f32).collect();
        Tensor::<4>::from_data(TensorData::new(values, [batch, 1, 1, 1]), &device)
    };
    let picture = picture + factor(&|draw| draw[0] - 0.5);
    let grey = picture.clone().mean_dim(1); // [B, 1, H, W]
    let picture = (picture - grey.clone()) * factor(&|draw| 2.0 * draw[1]) + grey;
    let flat = picture.clone().reshape([batch, 1, 1, channels * height * width]);
    let mean = flat.mean_dim(3); // [B, 1, 1, 1]
    (picture - mean.clone()) * factor(&|draw| draw[2] + 0.5) + mean
}

/// `y[i, j] = x[i + rows, j + columns]`, zero where that is outside.
///
/// As products with matrices of zeros and ones: exact, one operation for the whole batch, and the gradient is the product
/// with the transposed matrix, where slices or an index per pixel would scatter it.
fn translate(picture: Tensor<4>, shifts: &[[isize; 2]]) -> Tensor<4> {
    let device = picture.device();
    let [batch, channels, side, _] = picture.dims();
    let matrix = |axis: usize| shift_matrix(shifts.iter().map(|shift| shift[axis]), side, &device); // [B, H, H]
    let columns = picture.reshape([batch, channels * side, side]).matmul(matrix(1).swap_dims(1, 2)); // [B, 3 H, H]
    let turned = columns.reshape([batch, channels, side, side]).swap_dims(1, 2).reshape([batch, side, channels * side]);
    let rows = matrix(0).matmul(turned); // [B, H, 3 H]
    rows.reshape([batch, side, channels, side]).swap_dims(1, 2)
}

/// Per picture the matrix `S` with `(S x)[i] = x[i + shift]`.
fn shift_matrix(shifts: impl ExactSizeIterator<Item = isize>, side: usize, device: &Device) -> Tensor<3> {
    let batch = shifts.len();
    let mut values = vec![0.0f32; batch * side * side];
    for (matrix, shift) in values.chunks_exact_mut(side * side).zip(shifts) {
        for row in 0..side {
            if let Some(from) = row.checked_add_signed(shift).filter(|from| *from < side) {
                matrix[row * side + from] = 1.0;
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [batch, side, side]), device)
}

/// Zeros in a square of `square` pixels, from `square / 2` before its centre, cut off at the border.
fn cut(picture: Tensor<4>, centres: &[[usize; 2]], square: usize) -> Tensor<4> {
    let [batch, _, side, _] = picture.dims();
    let mut kept = vec![1.0f32; batch * side * side];
    for (mask, centre) in kept.chunks_exact_mut(side * side).zip(centres) {
        let [rows, columns] = centre.map(|middle| {
            let start = middle as isize - (square / 2) as isize;
            let inside = |at: isize| at.clamp(0, side as isize) as usize;
            inside(start)..inside(start + square as isize)
        });
        for row in rows {
            mask[row * side..][columns.clone()].fill(0.0);
        }
    }
    let mask = Tensor::<4>::from_data(TensorData::new(kept, [batch, 1, side, side]), &picture.device());
    picture * mask
}
