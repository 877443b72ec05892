//! Layer norm and RMS norm in all their uses, against a scalar definition in f64.

mod gpu;

use gpu::{Gpu, Slot, assert_close, bits, gpu, noise};
use maetok_shaders::norms::{LAYER_NORM, LAYER_NORM_ROWS, Norm};

/// Sums of up to 1,152 numbers in f32 and a square root: relative to normed values of up to 2 and modulations of up
/// to 3. Worst measured on lavapipe: a third of this.
const BOUND: f64 = 8e-6;

/// One call: what the kernel's header calls a use.
struct Call {
    name: &'static str,
    centred: bool,
    params: Norm,
    x: Vec<f32>,
    weight: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// What a buffer holds that no use reads.
const UNUSED: [f32; 4] = [f32::NAN; 4];

impl Call {
    /// Without parameters; `x` is off centre, so that a variance in one pass would show.
    fn plain(name: &'static str, centred: bool, batch: usize, tokens: usize, width: usize) -> Self {
        let rows = batch * tokens;
        Self {
            name,
            centred,
            params: Norm {
                rows: rows as u32,
                tokens: tokens as u32,
                width: width as u32,
                first: tokens as u32,
                per_sample: 0,
                per_token: 0,
                stride: 0,
                scale_at: 0,
                shift_at: 0,
                weighted: 0,
                one: 0.0,
                eps: 1e-6,
            },
            x: noise(rows as u32, rows * width).iter().map(|x| 5.0 + 2.0 * x).collect(),
            weight: UNUSED.into(),
            scale: UNUSED.into(),
            shift: UNUSED.into(),
        }
    }

    fn affine(batch: usize, tokens: usize, width: usize) -> Self {
        let plain = Self::plain("affine", true, batch, tokens, width);
        Self { params: Norm { first: 0, ..plain.params }, scale: noise(21, width), shift: noise(22, width), ..plain }
    }

    /// SiT's: parts 3 (shift) and 4 (scale) of six, one row per sample.
    fn modulated(batch: usize, tokens: usize, width: usize) -> Self {
        let plain = Self::plain("adaLN", true, batch, tokens, width);
        let table = noise(23, batch * 6 * width);
        let of = |part: usize| (part * width) as u32;
        let params =
            Norm { first: 0, per_sample: 1, stride: of(6), shift_at: of(3), scale_at: of(4), one: 1.0, ..plain.params };
        Self { params, scale: table.clone(), shift: table, ..plain }
    }

    /// The decoder's: the last `latents` tokens, shift before scale in parts 2 and 3 of four, one row per latent token.
    fn movq(batch: usize, tokens: usize, latents: usize, width: usize) -> Self {
        let plain = Self::plain("MoVQ", true, batch, tokens, width);
        let table = noise(24, batch * latents * 4 * width);
        let of = |part: usize| (part * width) as u32;
        let params = Norm {
            first: (tokens - latents) as u32,
            per_sample: latents as u32,
            per_token: 1,
            stride: of(4),
            shift_at: of(2),
            scale_at: of(3),
            ..plain.params
        };
        Self { params, scale: table.clone(), shift: table, ..plain }
    }

    /// LightningDiT's: RMS norm with weight, then as SiT.
    fn rms(batch: usize, tokens: usize, width: usize) -> Self {
        let modulated = Self::modulated(batch, tokens, width);
        Self {
            name: "RMS with adaLN",
            centred: false,
            params: Norm { weighted: 1, ..modulated.params },
            weight: noise(25, width),
            ..modulated
        }
    }

    /// The definition.
    fn want(&self) -> Vec<f64> {
        let p = self.params;
        let [tokens, width, first, stride] = [p.tokens, p.width, p.first, p.stride].map(|v| v as usize);
        let mut y = Vec::new();
        for (row, x) in self.x.chunks_exact(width).enumerate() {
            let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let mean = if self.centred { x.iter().sum::<f64>() / width as f64 } else { 0.0 };
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            let (b, t) = (row / tokens, row % tokens);
            for (i, x) in x.iter().enumerate() {
                let mut n = (x - mean) / (variance + f64::from(p.eps)).sqrt();
                if p.weighted == 1 {
                    n *= f64::from(self.weight[i]);
                }
                if t >= first {
                    let m = (b * p.per_sample as usize + (t - first) * p.per_token as usize) * stride + i;
                    let scale = f64::from(self.scale[m + p.scale_at as usize]);
                    let shift = f64::from(self.shift[m + p.shift_at as usize]);
                    n = n * (f64::from(p.one) + scale) + shift;
                }
                y.push(n);
            }
        }
        y
    }

    /// Both forms.
    fn run(&self, gpu: &Gpu) -> [(&'static str, Vec<f32>); 2] {
        let rows = u64::from(self.params.rows);
        [(&LAYER_NORM, rows), (&LAYER_NORM_ROWS, rows.div_ceil(32))].map(|(kernel, workgroups)| {
            let text = kernel.text(&[("CENTRED", if self.centred { "true" } else { "false" })]);
            let slots = [
                Slot::In(&bits(&self.x)),
                Slot::In(&bits(&self.weight)),
                Slot::In(&bits(&self.scale)),
                Slot::In(&bits(&self.shift)),
                Slot::Out(self.x.len()),
                Slot::In(&self.params.words()),
            ];
            (kernel.name, gpu.run(kernel.name, &text, &slots, maetok_shaders::grid(workgroups)).remove(0))
        })
    }

    fn check(&self, gpu: &Gpu) {
        let want = self.want();
        let Norm { rows, width, .. } = self.params;
        for (form, got) in self.run(gpu) {
            assert_close(&format!("{form} {} [{rows}, {width}]", self.name), gpu, &got, &want, |_| BOUND);
        }
    }
}

#[test]
fn every_use_is_its_formula() {
    let Some(gpu) = gpu("every_use_is_its_formula") else { return };
    // Rows and widths of 1 and 4, primes, one more and one less than a workgroup's share, and the models' own.
    for (batch, tokens, width) in [
        (1, 1, 4),
        (1, 3, 8),
        (2, 31, 20),
        (3, 11, 192),
        (1, 33, 252),
        (2, 5, 256),
        (1, 2, 260),
        (1, 97, 768),
        (2, 3, 1152),
    ] {
        for call in [
            Call::plain("plain", true, batch, tokens, width),
            Call::plain("RMS", false, batch, tokens, width),
            Call::affine(batch, tokens, width),
            Call::modulated(batch, tokens, width),
            Call::movq(batch, tokens, tokens.div_ceil(3), width),
            Call::rms(batch, tokens, width),
        ] {
            call.check(gpu);
        }
    }
}

#[test]
fn rows_go_on_past_65_535_workgroups() {
    let Some(gpu) = gpu("rows_go_on_past_65_535_workgroups") else { return };
    // Four numbers far enough apart that no row is nearly constant, which would magnify the rounding of its mean.
    let call = |rows: usize| {
        let mut call = Call::plain("plain", true, 1, rows, 4);
        call.x.iter_mut().enumerate().for_each(|(i, x)| *x += 3.0 * (i % 4) as f32);
        call
    };
    // One row per workgroup needs y = 2 from 65,536 rows on, 32 rows per workgroup from 2,097,121 on.
    call(65_537).check(gpu);
    let call = call(32 * 65_535 + 1);
    let (_, got) = &call.run(gpu)[1];
    assert_close("layer_norm_rows, many", gpu, got, &call.want(), |_| BOUND);
}

#[test]
fn a_bad_number_spoils_its_row_only() {
    let Some(gpu) = gpu("a_bad_number_spoils_its_row_only") else { return };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for centred in [true, false] {
            let mut call = Call::plain("bad", centred, 2, 3, 20);
            call.x[20 + 7] = value;
            let want = call.want();
            for (form, got) in call.run(gpu) {
                assert_close(&format!("{form} with {value}"), gpu, &got, &want, |_| BOUND);
            }
        }
    }
}

#[test]
fn equal_numbers_become_zero() {
    let Some(gpu) = gpu("equal_numbers_become_zero") else { return };
    let mut call = Call::plain("equal", true, 1, 5, 16);
    call.x.fill(3.0);
    for (form, got) in call.run(gpu) {
        assert!(got.iter().all(|y| *y == 0.0), "{form}: {got:?}");
    }
}
