//! What time and class tell every block of a generator, for any number of moments at once.
//!
//! The modulations of adaLN depend on nothing else, and their layers are a third of SiT's parameters. So a sampler asks
//! for the rows of many steps before its loop, in one product per block instead of one per block and step.

use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use crate::kernels::{Activation, Gate, Modulation};
use crate::nn::linear_rows;

/// A table for every block and one for the last layer. Made by
/// [`Generator::modulations`](super::Generator::modulations).
#[derive(Clone, Debug)]
pub struct Modulations {
    /// `[R, 6D]` each: shift, scale and gate of the attention, then of the MLP.
    blocks: Vec<Tensor<2>>,
    /// `[R, 2D]`: shift, scale.
    last: Tensor<2>,
}

impl Modulations {
    /// `condition`: `silu(c)`, `[R, D]`.
    pub(super) fn new<'a>(blocks: impl Iterator<Item = &'a Linear>, last: &Linear, condition: Tensor<2>) -> Self {
        let rows = |layer: &Linear| linear_rows(layer, condition.clone(), Activation::Identity);
        Self { blocks: blocks.map(rows).collect(), last: rows(last) }
    }

    /// Of block `index`, for samples whose first row is `row`.
    pub(super) fn block(&self, index: usize, row: usize) -> Rows<'_> {
        Rows { table: &self.blocks[index], row }
    }

    /// Of the last layer.
    pub(super) fn last(&self, row: usize) -> Rows<'_> {
        Rows { table: &self.last, row }
    }
}

/// The rows of a batch in a table of modulations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    table: &'a Tensor<2>,
    row: usize,
}

impl<'a> Rows<'a> {
    /// Shift and scale from part `i` of width `D` on.
    pub fn shift_and_scale(&self, i: usize, width: usize) -> Modulation<'a> {
        Modulation::Samples { table: self.table, row: self.row, at: i * width }
    }

    /// Gate in part `i`.
    pub fn gate(&self, i: usize, width: usize) -> Gate<'a> {
        Gate::Samples { table: self.table, row: self.row, at: i * width }
    }

    /// The rows of a batch, `[B, parts * D]`.
    pub fn of_batch(&self, batch: usize) -> Tensor<2> {
        self.table.clone().slice(s![self.row..self.row + batch, ..])
    }
}
