//! Which kernel does a step, on which adapter: a short table, and what was found out about the adapter at hand.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::{LazyLock, PoisonError, RwLock};

use burn::tensor::Tensor;
use cubecl::Device;
use serde::Deserialize;

use super::launch::Buffer;

/// Kernels that stand and fall together in the self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `linear_registers`: no barriers.
    LinearRegisters,
    /// `linear_tiles`: tiles in workgroup memory.
    LinearTiles,
    /// `vector_matrix`: one to four rows.
    Vector,
    /// `layer_norm_rows`: an invocation per row.
    NormRows,
    /// `layer_norm`: a workgroup per row.
    Norm,
    /// `qk_prepare`, then `attention`: no barriers.
    Attention,
    /// `attention_tiled`, after `qk_prepare` where queries and keys are normed: tiles in workgroup memory.
    AttentionTiled,
    /// `patch_embed`
    PatchEmbed,
    /// `to_rgba8`
    ToRgba8,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LinearRegisters,
        Self::LinearTiles,
        Self::Vector,
        Self::NormRows,
        Self::Norm,
        Self::Attention,
        Self::AttentionTiled,
        Self::PatchEmbed,
        Self::ToRgba8,
    ];

    /// The family that does the same on GPUs, for one that is for software adapters.
    pub(super) fn for_gpus(self) -> Option<Self> {
        match self {
            Self::LinearRegisters => Some(Self::LinearTiles),
            Self::NormRows => Some(Self::Norm),
            Self::Attention => Some(Self::AttentionTiled),
            _ => None,
        }
    }

    /// The family with this name, or with a kernel of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "qk_prepare" => Some(Self::Attention),
            _ => Self::ALL.into_iter().find(|family| family.name() == name),
        }
    }

    /// Name of the file in `shaders/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinearRegisters => "linear_registers",
            Self::LinearTiles => "linear_tiles",
            Self::Vector => "vector_matrix",
            Self::NormRows => "layer_norm_rows",
            Self::Norm => "layer_norm",
            Self::Attention => "attention",
            Self::AttentionTiled => "attention_tiled",
            Self::PatchEmbed => "patch_embed",
            Self::ToRgba8 => "to_rgba8",
        }
    }
}

/// How a piece of work chooses between kernels and plain ops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// What the table says for the adapter.
    #[default]
    ByAdapter,
    /// The kernels for software adapters, whatever the adapter.
    Registers,
    /// The kernels for GPUs, with tiles in workgroup memory, whatever the adapter.
    Tiles,
    /// No kernels of ours: Burn's own.
    Plain,
}

thread_local! {
    static ROUTE: Cell<Route> = const { Cell::new(Route::ByAdapter) };
}

/// Chooses `route` on this thread for as long as the answer lives. For tests and benchmarks.
pub fn prefer(route: Route) -> Preferred {
    Preferred { before: ROUTE.replace(route), _on_this_thread: PhantomData }
}

/// A route is preferred; made by [`prefer`].
///
/// Stays on its thread, whose route it gives back.
#[derive(Debug)]
#[must_use = "the preference ends when this is dropped"]
pub struct Preferred {
    before: Route,
    _on_this_thread: PhantomData<*const ()>,
}

impl Drop for Preferred {
    fn drop(&mut self) {
        ROUTE.set(self.before);
    }
}

/// Does `work` by `route`, on this thread; afterwards everything is as it was.
pub fn within<T>(route: Route, work: impl FnOnce() -> T) -> T {
    let _preferred = prefer(route);
    work()
}

/// For which steps tiles in workgroup memory win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    /// Linear layers of more than four rows.
    pub linear: bool,
    /// Attention without norms of queries and keys.
    pub attention: bool,
    /// Norms.
    pub norm: bool,
}

impl Tiles {
    /// Where nobody measured: they win on a GPU. On a software adapter a barrier costs more than the loads it saves.
    pub fn by_table(hardware: bool) -> Self {
        Self { linear: hardware, attention: hardware, norm: hardware }
    }
}

/// What is known of an adapter.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    /// Which of two kernels is faster.
    pub tiles: Tiles,
    /// What its self-test found wrong.
    pub disabled: BTreeSet<Family>,
}

static PROFILES: LazyLock<RwLock<HashMap<Device, Profile>>> = LazyLock::new(RwLock::default);

/// Keeps what is known of the adapter of `device`. A device of which nothing is known counts as a software adapter with
/// every kernel in order. Does nothing where there are no kernels.
pub(super) fn remember(device: &burn::tensor::Device, profile: Profile) {
    if let Some(buffer) = Buffer::of(&Tensor::<1>::zeros([4], device)) {
        PROFILES.write().unwrap_or_else(PoisonError::into_inner).insert(buffer.device().clone(), profile);
    }
}

fn profile<T>(device: &Device, read: impl FnOnce(&Profile) -> T) -> T {
    let all = PROFILES.read().unwrap_or_else(PoisonError::into_inner);
    read(all.get(device).unwrap_or(&Profile::default()))
}

/// Whether kernels with tiles come first, for a step of the adapter's table.
fn tiles(device: &Device, step: fn(&Tiles) -> bool) -> bool {
    match ROUTE.get() {
        Route::Registers => false,
        Route::Tiles => true,
        Route::ByAdapter | Route::Plain => profile(device, |profile| step(&profile.tiles)),
    }
}

/// The first of `families` that is in order on `device`; `None` for plain ops.
fn first(device: &Device, families: &[Family]) -> Option<Family> {
    let fine = |family: &&Family| profile(device, |profile| !profile.disabled.contains(family));
    (ROUTE.get() != Route::Plain).then(|| families.iter().find(fine).copied()).flatten()
}

/// Whether loops of ours take the place of plain ops on the CPU.
pub(super) fn loops() -> bool {
    ROUTE.get() != Route::Plain
}

/// For a linear layer of `m` rows.
pub(super) fn linear(device: &Device, m: usize) -> Option<Family> {
    match (tiles(device, |tiles| tiles.linear), m) {
        (_, ..=4) => first(device, &[Family::Vector, Family::LinearRegisters]),
        (true, _) => first(device, &[Family::LinearTiles, Family::LinearRegisters]),
        (false, _) => first(device, &[Family::LinearRegisters, Family::LinearTiles]),
    }
}

/// For a norm.
pub(super) fn norm(device: &Device) -> Option<Family> {
    match tiles(device, |tiles| tiles.norm) {
        true => first(device, &[Family::Norm, Family::NormRows]),
        false => first(device, &[Family::NormRows, Family::Norm]),
    }
}

/// For attention. Norms of queries and keys are the work of `qk_prepare`, which belongs to [`Family::Attention`].
pub(super) fn attention(device: &Device, normed: bool) -> Option<Family> {
    if normed {
        first(device, &[Family::Attention])?;
    }
    match tiles(device, |tiles| tiles.attention) {
        true => first(device, &[Family::AttentionTiled, Family::Attention]),
        false => first(device, &[Family::Attention, Family::AttentionTiled]),
    }
}

/// For a step that one family alone does.
pub(super) fn only(device: &Device, family: Family) -> Option<Family> {
    first(device, &[family])
}

thread_local! {
    static LAUNCHES: Cell<u64> = const { Cell::new(0) };
}

/// Dispatches of our kernels by this thread so far.
pub fn launches() -> u64 {
    LAUNCHES.get()
}

pub(super) fn count_launch() {
    LAUNCHES.set(LAUNCHES.get() + 1);
}
