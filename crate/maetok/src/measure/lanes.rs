//! Parts of a long piece of work, side by side where that helps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use rayon::prelude::*;

use super::{Told, Watch};
use crate::Result;

/// How many parts are worked on at a time: a CPU backend spreads matrix products over the cores but computes element by
/// element on one, a GPU is busy with one.
pub fn count(device: &Device) -> usize {
    if *device == Device::flex() { rayon::current_num_threads() } else { 1 }
}

/// Seconds that `work` takes: the shorter of two times, as the first makes threads and memory ready.
///
/// # Errors
/// The first of `work`.
pub fn seconds(work: impl Fn() -> Result<()>) -> Result<f64> {
    let timed = || {
        let started = Instant::now();
        work().map(|()| started.elapsed().as_secs_f64())
    };
    Ok(timed()?.min(timed()?))
}

/// `work` on indices `0..total`, `batch` at a time; the results in their order.
///
/// # Errors
/// The first of `work`.
pub fn batches<R: Send>(
    total: usize,
    batch: usize,
    device: &Device,
    (what, watch): (&'static str, Watch<'_>),
    work: impl Fn(std::ops::Range<usize>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let done = AtomicUsize::new(0);
    let tell = |done| watch(Told::Progress { what, done, of: total });
    tell(0);
    let one = |start: usize| {
        let range = start..(start + batch).min(total);
        let length = range.len();
        let result = work(range);
        tell(done.fetch_add(length, Ordering::Relaxed) + length);
        result
    };
    let starts: Vec<usize> = (0..total).step_by(batch).collect();
    if count(device) == 1 {
        return starts.into_iter().map(one).collect();
    }
    starts.into_par_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Error;

    #[test]
    fn every_index_is_worked_on_once_in_order_and_told_of() {
        let told = Mutex::new(Vec::new());
        let watch = |what: Told| {
            let Told::Progress { what: "counting", done, of: 10 } = what else { panic!("{what:?}") };
            told.lock().unwrap().push(done);
        };
        let got = batches(10, 4, &Device::flex(), ("counting", &watch), |range| Ok(range.collect::<Vec<_>>())).unwrap();
        assert_eq!(got, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
        let mut told = told.into_inner().unwrap();
        assert_eq!(told[0], 0);
        told.sort_unstable();
        assert_eq!((told.len(), told[3]), (4, 10));
    }

    #[test]
    fn a_mistake_in_a_part_is_the_answer() {
        let refuse = |range: std::ops::Range<usize>| {
            if range.contains(&5) { Err(Error::training("The fifth is bad")) } else { Ok(()) }
        };
        let refused = batches(8, 2, &Device::flex(), ("x", &|_| {}), refuse).unwrap_err();
        assert_eq!(refused.to_string(), "The fifth is bad.");
    }
}
