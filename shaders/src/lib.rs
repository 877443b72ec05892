//! MAETok's WGSL kernels as text, with what a host must know to launch them. No GPU, no Burn, no wgpu in here.
//!
//! A kernel is a file `*.wgsl` beside this crate's manifest, valid as it lies there. Its header gives formula, shapes,
//! grid, memory and numbers. [`ALL`] lists them. A host takes the text of a variant from [`Kernel::text`], binds the
//! buffers in the order of the file's bindings (group 0, from 0; every binding is used in every variant, so an
//! automatic bind group layout has them all, and a variant that ignores one still gets some small buffer there), fills
//! the params struct, and dispatches [`grid`] of the number of workgroups.
//!
//! `tests/valid.rs` holds every variant of every file to WebGPU's defaults; the other tests run them.

use std::ops::Range;

/// The text of a file without its comments, see `build.rs`.
macro_rules! wgsl {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name, ".wgsl"))
    };
}

pub mod attention;
pub mod linear;
pub mod norms;
pub mod params;
pub mod pixels;
pub mod probe;

pub use params::Field;

/// Every kernel of this package.
pub const ALL: &[&Kernel] = &[
    &linear::REGISTERS,
    &linear::TILES,
    &linear::VECTOR,
    &linear::UNPACK,
    &attention::ATTENTION,
    &attention::TILED,
    &attention::PREPARE,
    &norms::LAYER_NORM,
    &norms::LAYER_NORM_ROWS,
    &pixels::PATCH_EMBED,
    &pixels::TO_RGBA8,
    &pixels::PSNR_SSIM,
    &pixels::GUIDED_STEP,
    &probe::FMA,
    &probe::COPY,
];

/// One WGSL file and the facts about it that the host needs.
#[derive(Debug)]
pub struct Kernel {
    /// Name of the file, without its ending.
    pub name: &'static str,
    /// Its code, as `build.rs` leaves it: without comments.
    pub file: &'static str,
    /// Invocations per workgroup, as `@workgroup_size` has them.
    pub workgroup: [u32; 3],
    /// Members of the file's `Params`, in order; every one takes four bytes.
    pub params: &'static [Field],
    /// The lines that a host may replace.
    pub swaps: &'static [Swap],
}

/// A line `const NAME = VALUE;` or `alias NAME = VALUE;` of a file, whose value the host may choose.
#[derive(Debug)]
pub struct Swap {
    /// What comes before the value: `"const BIAS = "`.
    pub line: &'static str,
    /// The values that are valid; the first is the one on disk.
    pub values: &'static [&'static str],
}

impl Swap {
    /// `BIAS` of `const BIAS = `.
    pub fn name(&self) -> &'static str {
        self.line.split(' ').nth(1).expect("a swap line has a name")
    }
}

impl Kernel {
    /// The text with the named lines swapped; what is not named stays as it is on disk.
    ///
    /// # Panics
    /// If a name or a value is not among the kernel's [`swaps`](Self::swaps).
    pub fn text(&self, choices: &[(&str, &str)]) -> String {
        let mut text = self.file.to_owned();
        for (name, value) in choices {
            let swap = self.swaps.iter().find(|swap| swap.name() == *name);
            let swap = swap.unwrap_or_else(|| panic!("{} has no line {name}", self.name));
            assert!(swap.values.contains(value), "{}: {name} = {value} is none of {:?}", self.name, swap.values);
            let on_disk = format!("\n{}{};", swap.line, swap.values[0]);
            assert_eq!(text.matches(&on_disk).count(), 1, "{}: one line {}{};", self.name, swap.line, swap.values[0]);
            text = text.replace(&on_disk, &format!("\n{}{value};", swap.line));
        }
        text
    }

    /// Every combination of the swaps' values, as arguments of [`text`](Self::text).
    pub fn variants(&self) -> Vec<Vec<(&'static str, &'static str)>> {
        self.swaps.iter().fold(vec![Vec::new()], |variants, swap| {
            let with = |variant: &Vec<_>, value: &'static str| [variant.as_slice(), &[(swap.name(), value)]].concat();
            variants.iter().flat_map(|variant| swap.values.iter().map(|value| with(variant, value))).collect()
        })
    }
}

/// Multiply-adds above which work on a software adapter is divided among dispatches: a tenth of a second on a slow one,
/// which answers to nobody meanwhile.
pub const LONGEST: u64 = 1 << 28;

/// Equal pieces of work of so many multiply-adds in all, nearly equally divided among dispatches of at most [`LONGEST`],
/// or of one piece where that is longer. There is at least one dispatch.
///
/// # Panics
/// If there are 2^32 pieces or more.
pub fn divided(pieces: u64, multiply_adds: u64) -> impl ExactSizeIterator<Item = Range<u32>> {
    let fit = u128::from(LONGEST) * u128::from(pieces) / u128::from(multiply_adds.max(1));
    let fit = u64::try_from(fit).unwrap_or(u64::MAX).max(1);
    let dispatches = pieces.div_ceil(fit).max(1);
    let bound = move |dispatch: u64| {
        let pieces = u128::from(pieces) * u128::from(dispatch) / u128::from(dispatches);
        u32::try_from(pieces).expect("pieces below 2^32")
    };
    (0..dispatches as usize).map(move |dispatch| bound(dispatch as u64)..bound(dispatch as u64 + 1))
}

/// Most workgroups in one dimension of a dispatch that WebGPU promises.
pub const MAX_GROUPS: u64 = 65_535;

/// `[x, y, z]` of a dispatch of at least `workgroups` workgroups; kernels number them `x + y * (size of x)` and let
/// those past the end return.
///
/// # Panics
/// If there are more than 65,535².
pub fn grid(workgroups: u64) -> [u32; 3] {
    let y = workgroups.div_ceil(MAX_GROUPS).max(1);
    assert!(y <= MAX_GROUPS, "{workgroups} workgroups are more than a dispatch can have");
    [workgroups.div_ceil(y) as u32, y as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_enough_workgroups_and_few_in_vain() {
        for (workgroups, want) in [(0, [0, 1, 1]), (1, [1, 1, 1]), (65_535, [65_535, 1, 1]), (65_536, [32_768, 2, 1])] {
            assert_eq!(grid(workgroups), want);
        }
        let [x, y, _] = grid(1_000_003).map(u64::from);
        assert!(x * y >= 1_000_003 && x * y < 1_000_003 + y && x <= MAX_GROUPS);
    }

    #[test]
    fn divided_work_has_every_piece_once_and_no_dispatch_is_too_long() {
        for (pieces, multiply_adds, dispatches) in [
            (0, 0, 1),
            (1, 0, 1),
            (1, 9 * LONGEST, 1),
            (96, LONGEST, 1),
            (96, LONGEST + 1, 2),
            (97, 4 * LONGEST, 5),
            (3, 2 * LONGEST, 3),
            (3, u64::MAX, 3),
            (u64::from(u32::MAX), 7 * LONGEST, 8),
        ] {
            let parts: Vec<_> = divided(pieces, multiply_adds).collect();
            assert_eq!(parts.len(), dispatches, "{pieces} pieces of {multiply_adds}");
            let mut end = 0;
            for part in parts {
                assert_eq!(part.start, end, "{pieces} pieces of {multiply_adds}");
                let share = part.len() as u128 * u128::from(multiply_adds);
                assert!(
                    part.len() <= 1 || share <= u128::from(LONGEST) * u128::from(pieces),
                    "{pieces}, {multiply_adds}"
                );
                end = part.end;
            }
            assert_eq!(u64::from(end), pieces);
        }
    }

    #[test]
    fn variants_are_all_combinations_and_the_first_is_the_file() {
        for kernel in ALL {
            let variants = kernel.variants();
            assert_eq!(variants.len(), kernel.swaps.iter().map(|swap| swap.values.len()).product());
            assert_eq!(kernel.text(&variants[0]), kernel.file);
        }
    }

    #[test]
    #[should_panic(expected = "has no line")]
    fn an_unknown_line_is_refused() {
        ALL[0].text(&[("NOTHING", "1u")]);
    }
}
