//! Registers or tiles? Adapters differ, and a table of their kinds is a guess. So each of the two runs one linear layer and
//! one attention of a usual size, once per adapter, in the time of a few pictures on a screen.
//!
//! No search: two candidates, whose variants the self-test has compiled.

use burn::tensor::{Device, Tensor, TensorData};
use cubecl::profile::Instant;

use super::choice::{Route, Tiles, within};
use super::{Activation, HeadNorm, Residual, attention, linear};

/// Seconds for both steps together.
const BUDGET: f64 = 0.1;
/// A kernel takes the place of the table's only if it needs less than this part of its time: the choice should not
/// change with the weather.
const CLEARLY: f64 = 0.9;
/// Rows, columns in, columns out of the layer.
const LAYER: (usize, usize, usize) = (256, 768, 768);
/// Tokens, heads, head size of the attention; a head size that the self-test has compiled.
const ATTENTION: (usize, usize, usize) = (256, 8, 64);
/// In the order of [`Seconds`].
const ROUTES: [Route; 2] = [Route::Registers, Route::Tiles];

/// Least time of one repetition, by registers and by tiles.
type Seconds = [f64; 2];

/// Which of two kernels is faster on a GPU, for each step that has two. `None` where there are no kernels or nothing can
/// be read.
pub(super) async fn contest(device: &Device) -> Option<Tiles> {
    let (rows, from, to) = LAYER;
    let (tokens, heads, dim) = ATTENTION;
    let some = |shape: [usize; 2]| -> Tensor<2> {
        Tensor::from_data(TensorData::new(vec![0.5_f32; shape.iter().product()], shape), device)
    };
    let layer = |x: &Tensor<2>, w: &Tensor<2>, b: &Tensor<2>| {
        linear(x, w.into(), Some(&b.clone().flatten(0, 1)), Activation::Identity, Residual::None)
    };
    // Waiting for a result takes a few numbers of it, by a layer that costs nothing beside it.
    let end = |y: Tensor<2>| {
        let [_, width] = y.dims();
        within(Route::Registers, || layer(&y, &some([width, 4]), &some([1, 4])))
    };
    let (x, w, b) = (some([rows, from]), some([from, to]), some([1, to]));
    let qkv = some([tokens, 3 * heads * dim]).unsqueeze::<3>();
    let start = Instant::now();
    let clock = || start.elapsed().as_secs_f64();
    let linear = seconds(BUDGET / 2.0, &clock, || layer(&x, &w, &b), end).await?;
    let attention = seconds(
        BUDGET / 2.0,
        &clock,
        || Some(attention(qkv.clone(), heads, HeadNorm::None, None).break_value()?.squeeze_dim(0)),
        end,
    )
    .await?;
    Some(Tiles { linear: tiles_win(linear), attention: tiles_win(attention), ..Tiles::by_table(true) })
}

/// Whether tiles are what to take on a GPU, where the table says so.
fn tiles_win([registers, tiles]: Seconds) -> bool {
    // Also where nothing was measured: infinity is no less than infinity.
    registers >= CLEARLY * tiles
}

/// Repeats `work` by each route in turn, ever more often, within `budget` seconds of `clock`. Infinite where waiting alone
/// takes too long: some browsers look after the GPU ten times a second.
async fn seconds(
    budget: f64,
    clock: &impl Fn() -> f64,
    work: impl Fn() -> Option<Tensor<2>>,
    end: impl Fn(Tensor<2>) -> Option<Tensor<2>>,
) -> Option<Seconds> {
    let start = clock();
    let mut least = [f64::INFINITY; 2];
    let mut repeats = 1;
    loop {
        for (route, least) in ROUTES.into_iter().zip(&mut least) {
            let began = clock();
            let mut last = within(route, &work)?;
            for _ in 1..repeats {
                last = within(route, &work)?;
            }
            let read = end(last)?.into_data_async().await.ok()?;
            // What a read gives is fetched when it is looked at.
            read.try_to_vec::<f32>().ok()?;
            // The first round is for what happens once.
            if repeats > 1 {
                *least = least.min((clock() - began) / f64::from(repeats));
            }
        }
        repeats *= 2;
        // The next round takes as long as all before it together.
        if clock() - start > budget / 2.0 {
            return Some(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_win_only_where_they_are_clearly_faster() {
        for (seconds, tiles) in
            [([1.0, 2.0], false), ([0.95, 1.0], true), ([2.0, 1.0], true), ([f64::INFINITY, f64::INFINITY], true)]
        {
            assert_eq!(tiles_win(seconds), tiles, "{seconds:?}");
        }
    }

    #[test]
    fn both_kernels_are_timed_and_the_time_is_bounded() {
        let gpus = maetok_tests::devices().into_iter().filter(|on| on.label != "cpu");
        for maetok_tests::TestDevice { device, label, .. } in gpus {
            let x = Tensor::<2>::ones([40, 64], &device);
            let work =
                || linear(&x, (&Tensor::ones([64, 64], &device)).into(), None, Activation::Identity, Residual::None);
            // A clock that says one second more whenever it is looked at.
            let now = std::cell::Cell::new(0.0);
            let clock = || now.replace(now.get() + 1.0);
            let timed = pollster::block_on(seconds(20.0, &clock, work, Some));
            // Rounds of one, two and four repetitions; the first does not count.
            assert_eq!(timed, Some([0.25, 0.25]), "on {label}");
            // Waiting that is longer than the budget ends it, before anything is believed.
            assert_eq!(pollster::block_on(seconds(0.0, &clock, work, Some)), Some([f64::INFINITY; 2]));
            assert!(pollster::block_on(contest(&device)).is_some());
        }
    }
}
