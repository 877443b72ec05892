//! Pictures in and out, their distance, and the sampler's step, against scalar definitions.

mod gpu;

use gpu::{Gpu, Slot, assert_close, bits, gpu, noise};
use maetok_shaders::grid;
use maetok_shaders::pixels::{
    GUIDED_STEP, GuidedStep, PATCH_EMBED, PSNR_SSIM, PatchEmbed, PsnrSsim, TO_RGBA8, ToRgba8, edges,
};

fn groups(count: usize) -> [u32; 3] {
    grid(count.div_ceil(64) as u64)
}

/// Side of a patch, rows and columns of patches, pictures.
const PICTURES: &[(usize, usize, usize, usize)] =
    &[(1, 1, 1, 1), (2, 1, 3, 1), (3, 5, 2, 2), (5, 3, 3, 1), (8, 8, 8, 2), (14, 2, 3, 1), (16, 4, 4, 1)];

#[test]
fn patches_are_cut_in_the_order_of_the_weight() {
    let Some(gpu) = gpu("patches_are_cut_in_the_order_of_the_weight") else { return };
    for &(p, rows, columns, batch) in PICTURES {
        let (height, width) = (rows * p, columns * p);
        let mut image = noise(9, batch * 3 * height * width);
        image[0] = f32::NAN;
        let stride = (3 * p * p).next_multiple_of(4);
        let mut want = Vec::new();
        for b in 0..batch {
            for n in 0..rows * columns {
                for channel in 0..3 {
                    for (i, j) in (0..p).flat_map(|i| (0..p).map(move |j| (i, j))) {
                        let (y, x) = (n / columns * p + i, n % columns * p + j);
                        want.push(image[((b * 3 + channel) * height + y) * width + x]);
                    }
                }
                want.resize(want.len() + stride - 3 * p * p, 0.0);
            }
        }
        let params = PatchEmbed {
            count: want.len() as u32,
            height: height as u32,
            width: width as u32,
            side: p as u32,
            stride: stride as u32,
        };
        let slots = [Slot::In(&bits(&image)), Slot::Out(want.len()), Slot::In(&params.words())];
        let got = gpu.run("patch_embed", PATCH_EMBED.file, &slots, groups(want.len())).remove(0);
        assert_eq!(bits(&got), bits(&want), "patches of {p}, {rows} x {columns}, {batch}");
    }
}

/// As `generated_byte` of crate/maetok/src/image/convert.rs.
fn generated(v: f32) -> u8 {
    ((v.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0) as u8
}

/// As `reconstruction_byte` there.
fn reconstruction(v: f32) -> u8 {
    (127.5 * v + 128.0).clamp(0.0, 255.0) as u8
}

/// The packed pixel of three numbers.
fn pixel(values: &[f32], byte: Byte) -> u32 {
    u32::from_le_bytes([byte(values[0]), byte(values[1]), byte(values[2]), 255])
}

type Byte = fn(f32) -> u8;

fn to_rgba8(gpu: &Gpu, patches: &[f32], (p, rows, columns): (usize, usize, usize), byte: Byte) -> Vec<u32> {
    let count = patches.len() / 3;
    let params = ToRgba8 { count: count as u32, columns: columns as u32, rows: rows as u32, side: p as u32 };
    let edges = bits(&edges(byte));
    let slots = [Slot::In(&bits(patches)), Slot::In(&edges), Slot::Out(count), Slot::In(&params.words())];
    bits(&gpu.run("to_rgba8", TO_RGBA8.file, &slots, groups(count)).remove(0))
}

#[test]
fn pixels_stand_where_unpatchify_puts_them() {
    let Some(gpu) = gpu("pixels_stand_where_unpatchify_puts_them") else { return };
    for &(p, rows, columns, batch) in PICTURES {
        let patches: Vec<f32> = noise(11, batch * rows * columns * 3 * p * p).iter().map(|v| 1.1 * v).collect();
        for byte in [generated as Byte, reconstruction] {
            let mut want = Vec::new();
            for b in 0..batch {
                for (y, x) in (0..rows * p).flat_map(|y| (0..columns * p).map(move |x| (y, x))) {
                    let n = y / p * columns + x / p;
                    let at = ((b * rows * columns + n) * p * p + y % p * p + x % p) * 3;
                    want.push(pixel(&patches[at..], byte));
                }
            }
            assert_eq!(to_rgba8(gpu, &patches, (p, rows, columns), byte), want, "patches of {p}");
        }
    }
}

#[test]
fn every_byte_is_rounded_as_the_definition_does() {
    let Some(gpu) = gpu("every_byte_is_rounded_as_the_definition_does") else { return };
    // Around every edge between two bytes, some numbers on either side; what no picture should hold; then at random.
    let mut values = vec![f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0];
    values.extend([f32::MIN_POSITIVE, 1e-40, -1e-40, 1.0, -1.0, 2.0, -2.0]);
    for byte in 0..=256 {
        for edge in [(byte as f32 - 128.0) / 127.5, byte as f32 / 127.5 - 1.0] {
            values.extend((-6..=6).map(|steps| f32::from_bits(edge.to_bits().wrapping_add_signed(steps))));
        }
    }
    values.extend(noise(13, 60_000).iter().map(|v| 1.05 * v));
    // One patch one pixel wide and high: a picture in a row.
    values.resize(values.len().next_multiple_of(3), 0.5);
    let pixels = values.len() / 3;
    for byte in [generated as Byte, reconstruction] {
        let got = to_rgba8(gpu, &values, (1, 1, pixels), byte);
        for (value, got) in values.chunks_exact(3).zip(got) {
            let want = pixel(value, byte);
            assert_eq!(got, want, "{got:08x} for {want:08x} of {value:?}");
        }
    }
}

#[test]
fn pixels_go_on_past_65_535_workgroups() {
    let Some(gpu) = gpu("pixels_go_on_past_65_535_workgroups") else { return };
    let pixels = 64 * 65_535 + 1;
    let values: Vec<f32> = (0..3 * pixels).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
    let got = to_rgba8(gpu, &values, (1, 1, pixels), generated);
    for i in [0, 1, 64 * 32_768 - 1, 64 * 32_768, pixels - 2, pixels - 1] {
        assert_eq!(got[i], pixel(&values[3 * i..], generated), "pixel {i}");
    }
    assert!(got.iter().all(|pixel| pixel >> 24 == 255), "every pixel is written");
}

/// Variances in f32 over differences of up to 255: relative to similarities of up to 1. Worst measured on lavapipe: 1.4e-5.
const SIMILARITY: f64 = 4e-5;

/// The window of crate/maetok/src/eval/metrics.rs.
fn gaussian(size: usize) -> Vec<f64> {
    let centre = (size as f64 - 1.0) / 2.0;
    let weights: Vec<f64> = (0..size).map(|i| (-0.5 * ((i as f64 - centre) / 1.5).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// The map that `ssim` there takes the mean of, each channel's windows for themselves.
fn ssim_map(a: &[u32], b: &[u32], width: usize, across: &[f64], down: &[f64]) -> Vec<f64> {
    let (c1, c2) = (6.5025, 58.5225);
    let height = a.len() / width;
    let value =
        |picture: &[u32], y: usize, x: usize, channel: u32| f64::from(picture[y * width + x] >> (8 * channel) & 255);
    let mut map = Vec::new();
    for y in 0..=height - down.len() {
        for x in 0..=width - across.len() {
            let channel = |c: u32| {
                let mean = |of: &dyn Fn(usize, usize) -> f64| {
                    let row = |i: usize| across.iter().enumerate().map(|(j, w)| w * of(y + i, x + j)).sum::<f64>();
                    down.iter().enumerate().map(|(i, w)| w * row(i)).sum::<f64>()
                };
                let (u, v) = (|y, x| value(a, y, x, c), |y, x| value(b, y, x, c));
                let (ma, mb) = (mean(&u), mean(&v));
                let va = mean(&|y, x| (u(y, x) - ma).powi(2));
                let vb = mean(&|y, x| (v(y, x) - mb).powi(2));
                let covariance = mean(&|y, x| (u(y, x) - ma) * (v(y, x) - mb));
                (2.0 * ma * mb + c1) * (2.0 * covariance + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
            };
            map.push((0..3).map(channel).sum::<f64>() / 3.0);
        }
    }
    map
}

#[test]
fn squares_are_exact_and_similarity_is_its_formula() {
    let Some(gpu) = gpu("squares_are_exact_and_similarity_is_its_formula") else { return };
    let random = |seed: u32, count: usize| bits(&noise(seed, count)).iter().map(|v| v ^ v << 13).collect::<Vec<u32>>();
    for (height, width) in [(1, 1), (3, 5), (11, 11), (12, 11), (13, 29), (37, 41), (64, 64)] {
        let (a, noisy) = (random(1, 2 * height * width), random(2, 2 * height * width));
        let smooth: Vec<u32> = (0..a.len() as u32).map(|i| 0x0102_0301_u32.wrapping_mul(i / 7 % 61 + 90)).collect();
        let near: Vec<u32> = smooth.iter().zip(&noisy).map(|(s, n)| s ^ n & 0x0503_0107).collect();
        let (white, black) = (vec![u32::MAX; a.len()], vec![0; a.len()]);
        for (name, a, b) in [
            ("equal", &a, &a),
            ("strangers", &a, &noisy),
            ("near", &smooth, &near),
            ("white and black", &white, &black),
            ("white and white", &white, &white),
        ] {
            let (across, down) = (gaussian(width.min(11)), gaussian(height.min(11)));
            let window: Vec<f32> = across.iter().chain(&down).map(|w| *w as f32).collect();
            let channel = |pixel: u32, c: u32| pixel >> (8 * c) & 255;
            let square = |(a, b): (&u32, &u32)| (0..3).map(|c| channel(*a, c).abs_diff(channel(*b, c)).pow(2)).sum();
            let squares: Vec<u32> = a.iter().zip(b).map(square).collect();
            let pictures = a.chunks_exact(height * width).zip(b.chunks_exact(height * width));
            let want: Vec<f64> = pictures.flat_map(|(a, b)| ssim_map(a, b, width, &across, &down)).collect();
            let params = PsnrSsim {
                count: a.len() as u32,
                height: height as u32,
                width: width as u32,
                down: down.len() as u32,
                across: across.len() as u32,
            };
            let slots = [
                Slot::In(a),
                Slot::In(b),
                Slot::In(&bits(&window)),
                Slot::Out(a.len()),
                Slot::Out(want.len()),
                Slot::In(&params.words()),
            ];
            let got = gpu.run("psnr_ssim", PSNR_SSIM.file, &slots, groups(a.len()));
            assert_eq!(bits(&got[0]), squares, "{name} {height} x {width}");
            assert_close(&format!("ssim {name} {height} x {width}"), gpu, &got[1], &want, |_| SIMILARITY);
        }
    }
}

/// The definition: guidance, then the step, in f64. Gives the new state, the clean latents and the velocity.
fn step(p: &GuidedStep, x: &[f32], velocities: &[f32], extra: &[f32]) -> [Vec<f64>; 3] {
    let count = p.count as usize;
    let [mut next, mut clean, mut velocity] = [const { Vec::new() }; 3];
    for i in 0..count {
        let class = f64::from(velocities[i]);
        let v = match p.guided {
            1 => {
                let null = f64::from(velocities[count + i]);
                null + f64::from(p.guidance) * (class - null)
            }
            _ => class,
        };
        let state = f64::from(x[i]);
        let noise = if p.x_e == 0.0 { 0.0 } else { f64::from(p.x_e) * f64::from(extra[i]) };
        next.push(f64::from(p.x_x) * state + f64::from(p.x_v) * v + noise);
        clean.push(f64::from(p.c_x) * state + f64::from(p.c_v) * v);
        velocity.push(v);
    }
    [next.repeat(p.copies as usize), clean, velocity]
}

fn check_step(gpu: &Gpu, name: &str, p: GuidedStep, x: &[f32], velocities: &[f32], extra: &[f32]) {
    let want = step(&p, x, velocities, extra);
    let slots = [
        Slot::In(&bits(x)),
        Slot::In(&bits(velocities)),
        Slot::In(&bits(extra)),
        Slot::Out(want[0].len()),
        Slot::Out(x.len()),
        Slot::Out(x.len()),
        Slot::In(&p.words()),
    ];
    let got = gpu.run("guided_step", GUIDED_STEP.file, &slots, groups(x.len()));
    // Guidance multiplies a difference of up to 2, and the clean latents add that to the state.
    let bound = 1e-6 * (1.0 + f64::from(p.guidance.abs()));
    for ((part, got), want) in ["next", "clean", "velocity"].iter().zip(&got).zip(&want) {
        assert_close(&format!("{name} {part} [{}]", p.count), gpu, got, want, |_| bound);
    }
}

#[test]
fn a_step_is_guidance_and_the_integrators_formula() {
    let Some(gpu) = gpu("a_step_is_guidance_and_the_integrators_formula") else { return };
    for count in [1, 3, 64, 65, 32 * 16 * 3, 4096 + 1] {
        let euler = GuidedStep {
            count: count as u32,
            guided: 1,
            copies: 2,
            guidance: 2.5,
            x_x: 1.0,
            x_v: -0.04,
            x_e: 0.0,
            c_x: 1.0,
            c_v: -0.72,
        };
        let (x, both, extra) = (noise(31, count), noise(32, 2 * count), noise(33, count));
        let unread = [f32::NAN; 4];
        check_step(gpu, "Euler, guided", euler, &x, &both, &unread);
        let alone = GuidedStep { guided: 0, copies: 1, ..euler };
        check_step(gpu, "Euler", alone, &x, &both[..count], &unread);
        check_step(gpu, "Heun", GuidedStep { x_v: -0.02, x_e: -0.02, ..euler }, &x, &both, &extra);
        check_step(gpu, "SDE", GuidedStep { x_x: 0.91, x_v: -0.31, x_e: 0.28, ..euler }, &x, &both, &extra);
    }
}

#[test]
fn a_step_keeps_bad_numbers_in_their_place() {
    let Some(gpu) = gpu("a_step_keeps_bad_numbers_in_their_place") else { return };
    let p = GuidedStep {
        count: 70,
        guided: 1,
        copies: 2,
        guidance: 2.0,
        x_x: 1.0,
        x_v: -0.5,
        x_e: 0.0,
        c_x: 1.0,
        c_v: -1.0,
    };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (mut x, mut both) = (noise(41, 70), noise(42, 140));
        (x[3], both[5], both[70 + 66]) = (value, value, value);
        check_step(gpu, "bad", p, &x, &both, &[0.0; 4]);
    }
}
