//! The probes compute what they say: a roof that skips its work would be too high.

mod gpu;

use gpu::{Slot, assert_close, bits, gpu, noise};
use maetok_shaders::grid;
use maetok_shaders::probe::{COPY, Copy, FMA, Fma};

#[test]
fn every_round_of_multiply_adds_is_done() {
    let Some(gpu) = gpu("every_round_of_multiply_adds_is_done") else { return };
    for (count, rounds) in [(1, 0), (70, 1), (130, 9)] {
        let params = Fma { count, rounds, factor: 0.75 };
        let slots = [Slot::Out(count as usize), Slot::In(&params.words())];
        let got = gpu.run("probe_fma", FMA.file, &slots, grid(u64::from(count.div_ceil(64)))).remove(0);
        let starts = (0..9).map(|i| f64::from(i) * 0.1).chain((1..8).map(|i| f64::from(i) * -0.1));
        let starts: Vec<f64> = starts.collect();
        let want: Vec<f64> = (0..count)
            .map(|id| {
                let b = f64::from(id % 64) * 1e-4;
                let end = |start: f64| (0..rounds).fold(b + start, |c, _| c * 0.75 + b);
                4.0 * starts.iter().map(|start| end(*start)).sum::<f64>()
            })
            .collect();
        assert_close("probe_fma", gpu, &got, &want, |i| 1e-5 * (1.0 + want[i].abs()));
    }
}

#[test]
fn every_fourth_round_is_a_matrix_times_a_vector() {
    let Some(gpu) = gpu("every_fourth_round_is_a_matrix_times_a_vector") else { return };
    let (count, rounds) = (130, 8);
    let params = Fma { count, rounds, factor: 0.75 };
    let slots = [Slot::Out(count as usize), Slot::In(&params.words())];
    let text = FMA.text(&[("MATRIX", "true")]);
    let got = gpu.run("probe_fma", &text, &slots, grid(u64::from(count.div_ceil(64)))).remove(0);
    // All four numbers of a vector are equal, and the matrix's columns sum to the factor.
    let want: Vec<f64> = (0..count)
        .map(|id| {
            let b = f64::from(id % 64) * 1e-4;
            let starts = (0..9).map(|i| f64::from(i) * 0.1).chain((1..8).map(|i| f64::from(i) * -0.1));
            4.0 * starts.map(|start| (0..rounds / 4).fold(b + start, |c, _| c * 0.75 + b)).sum::<f64>()
        })
        .collect();
    assert_close("probe_fma", gpu, &got, &want, |i| 1e-5 * (1.0 + want[i].abs()));
}

#[test]
fn a_copy_keeps_every_bit() {
    let Some(gpu) = gpu("a_copy_keeps_every_bit") else { return };
    let mut x = bits(&noise(3, 4 * 131));
    x[5] = 0x7fc0_1234;
    let params = Copy { count: 131 };
    let slots = [Slot::In(&x), Slot::Out(x.len()), Slot::In(&params.words())];
    let got = gpu.run("probe_copy", COPY.file, &slots, grid(131_u64.div_ceil(64))).remove(0);
    assert_eq!(bits(&got), x);
}
