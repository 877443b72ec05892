//! Softmax attention over projected queries, keys and values.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use maetok_shaders::attention::{
    ATTENTION, Attention, LAYER_NORM, NO_NORM, PREPARE, Prepare, RMS_NORM, TILED, Tiled, head, parts,
};
use maetok_shaders::{MAX_GROUPS, grid};

use super::choice::{self, Family};
use super::cpu;
use super::launch::{Buffer, Slot, launch, queue};
use super::linear::number;

/// Norm of queries and keys over the head size.
#[derive(Clone, Copy, Debug, Default)]
pub enum HeadNorm<'a> {
    /// None.
    #[default]
    None,
    /// Layer norm. Weight and bias for queries, then for keys, `[d]` each.
    Layer([&'a Tensor<1>; 4], f64),
    /// RMS norm. Weight for queries, then for keys, `[d]` each.
    Rms([&'a Tensor<1>; 2], f64),
}

/// Norms, rotary positions and attention of all heads: `Break` with the result, or `Continue` with `qkv`, unchanged,
/// where no kernel can.
///
/// # Shapes
/// - `qkv`: `[B, T, 3D]`, in the order q, k, v, heads side by side in each
/// - `rotary`: cosines and sines, `[A, N, d/2]` or `[1, N, d/2]`, and the index of the first token that turns
/// - returns `[B, T, D]`
///
/// # Panics
/// If `3D` is not a multiple of three times `heads`.
pub fn attention(
    qkv: Tensor<3>,
    heads: usize,
    norm: HeadNorm<'_>,
    rotary: Option<(&(Tensor<3>, Tensor<3>), usize)>,
) -> ControlFlow<Tensor<3>, Tensor<3>> {
    let [_, _, triple] = qkv.dims();
    assert_eq!(triple % (3 * heads), 0, "{triple} columns for {heads} heads");
    if let Some(mixed) = cpu::attention(&qkv, heads, norm, rotary) {
        return ControlFlow::Break(mixed);
    }
    match prepared(&qkv, heads, norm, rotary) {
        Some(plan) => ControlFlow::Break(plan.run(qkv)),
        None => ControlFlow::Continue(qkv),
    }
}

/// Everything about a call but `qkv`, once it is known that kernels can do it.
struct Plan {
    family: Family,
    /// Value of the tiled kernel's line `HEAD`.
    head: &'static str,
    shape: [usize; 3],
    tables: Option<(Buffer, Buffer)>,
    affine: Option<Buffer>,
    prepare: Prepare,
}

fn prepared(
    qkv: &Tensor<3>,
    heads: usize,
    norm: HeadNorm<'_>,
    rotary: Option<(&(Tensor<3>, Tensor<3>), usize)>,
) -> Option<Plan> {
    let [batch, tokens, triple] = qkv.dims();
    let dim = triple / (3 * heads);
    let head = head(number(dim)?)?;
    let few = |count: usize| (1..=MAX_GROUPS).contains(&(count as u64));
    if ![batch, tokens.div_ceil(32), heads].into_iter().all(few) {
        return None;
    }
    let device = Buffer::of(qkv)?.device().clone();
    let family = choice::attention(&device, !matches!(norm, HeadNorm::None))?;
    let (kind, eps, affine) = match norm {
        HeadNorm::None => (NO_NORM, 0.0, None),
        HeadNorm::Layer(rows, eps) => (LAYER_NORM, eps, Some(rows.map(Tensor::clone))),
        // The kernel has a row for a bias, which RMS norm does not read.
        HeadNorm::Rms([q, k], eps) => (RMS_NORM, eps, Some([q, q, k, k].map(Tensor::clone))),
    };
    let affine = match affine {
        Some(rows) => Some(Buffer::of(&Tensor::stack::<2>(rows.to_vec(), 0))?),
        None => None,
    };
    let (tables, first, patches, table_heads) = match rotary {
        Some(((cos, sin), first)) => {
            let [table_heads, patches, half] = cos.dims();
            assert!(2 * half == dim && first + patches <= tokens && [1, heads].contains(&table_heads), "rotary table");
            (Some((Buffer::of(cos)?, Buffer::of(sin)?)), first, patches, table_heads)
        }
        None => (None, 0, 0, 1),
    };
    let prepare = Prepare {
        rows: number(batch * tokens * 2 * heads)?,
        tokens: number(tokens)?,
        heads: number(heads)?,
        dim: number(dim)?,
        first: number(first)?,
        patches: number(patches)?,
        table_heads: number(table_heads)?,
        norm: kind,
        eps: eps as f32,
    };
    Some(Plan { family, head, shape: [batch, tokens, heads * dim], tables, affine, prepare })
}

impl Plan {
    fn run(self, qkv: Tensor<3>) -> Tensor<3> {
        let Prepare { tokens, heads, dim, first, patches, table_heads, norm, .. } = self.prepare;
        let scale = f64::from(dim).powf(-0.5) as f32;
        let [batch, ..] = self.shape;
        let tables = self.tables.as_ref();
        let (cos, sin) = (Slot::from(tables.map(|(cos, _)| cos)), Slot::from(tables.map(|(_, sin)| sin)));
        if self.family == Family::AttentionTiled && norm == NO_NORM {
            // This kernel turns queries and keys on the way in.
            let qkv = Buffer::of(&qkv).expect("it was one before");
            return self.tiled(&qkv, (cos, sin), Tiled { tokens, heads, scale, first, patches, table_heads });
        }
        let qkv = if norm != NO_NORM || patches > 0 { self.prepare_in_place(qkv, cos, sin) } else { buffer(qkv) };
        if self.family == Family::AttentionTiled {
            let params = Tiled { tokens, heads, scale, first: 0, patches: 0, table_heads: 1 };
            return self.tiled(&qkv, (Slot::Unused, Slot::Unused), params);
        }
        let y = qkv.fresh(self.shape);
        for part in parts(batch as u32, tokens, heads, dim) {
            let params = Attention { tokens, heads, dim, first: part.first, end: part.end, scale };
            queue(&y, part.multiply_adds(tokens, dim));
            launch(&ATTENTION, &[], part.grid(), &[Slot::In(&qkv), Slot::Out(&y)], &params.words());
        }
        y.tensor()
    }

    fn tiled(&self, qkv: &Buffer, (cos, sin): (Slot<'_>, Slot<'_>), params: Tiled) -> Tensor<3> {
        let [batch, ..] = self.shape;
        let y = qkv.fresh(self.shape);
        let groups = maetok_shaders::attention::grid(batch as u32, params.tokens, params.heads);
        let slots = [Slot::In(qkv), cos, sin, Slot::Out(&y)];
        launch(&TILED, &[("HEAD", self.head)], groups, &slots, &params.words());
        y.tensor()
    }

    fn prepare_in_place(&self, qkv: Tensor<3>, cos: Slot<'_>, sin: Slot<'_>) -> Buffer {
        let mut qkv = buffer(qkv);
        if !qkv.is_unshared() {
            // Somebody else still wants it as it is.
            qkv = buffer(qkv.tensor::<3>().mul_scalar(1.0));
        }
        let groups = u64::from(self.prepare.rows.div_ceil(64));
        let slots = [Slot::Out(&qkv), cos, sin, self.affine.as_ref().into()];
        launch(&PREPARE, &[], grid(groups), &slots, &self.prepare.words());
        qkv
    }
}

fn buffer(tensor: Tensor<3>) -> Buffer {
    Buffer::taken(tensor).expect("the caller has looked")
}
