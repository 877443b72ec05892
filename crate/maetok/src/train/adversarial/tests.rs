//! What the adversarial part does, beside its numbers: who learns, who does not, what a checkpoint holds.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use maetok_tests::{TestDevice, cpu, devices};
use tempfile::tempdir;

use super::*;
use crate::rng::Rng;

const SIDE: usize = 32;

/// The same in small: a trunk that sees 16 px in patches of 8.
fn small_dino(device: &Device) -> Discriminator {
    let trunk = DinoConfig { image_size: 16, patch_size: 8, width: 24, heads: 2, depth: 3, readouts: vec![0, 2] };
    Discriminator::on_trunk(trunk.init(device), device).map(&mut Redraw { rng: Rng::new(3, 0), names: Vec::new() })
}

fn small_patch(device: &Device) -> Discriminator {
    let config = PatchConfig { widths: vec![8, 16, 32] };
    Discriminator::patch(&config, device).map(&mut Redraw { rng: Rng::new(4, 0), names: Vec::new() })
}

/// Draws all that starts at random anew: Burn's own random numbers are those of the device, which
/// all tests that run at the same time share.
struct Redraw {
    rng: Rng,
    names: Vec<String>,
}

impl ModuleMapper for Redraw {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Biases and the vectors of the spectral norm; scales and running statistics start at 0 and 1 anyway.
        let drawn = self.names.last().is_some_and(|name| name == "bias" || name.starts_with("weight_"));
        if D == 1 && !drawn {
            return param;
        }
        let shape = param.dims();
        let draws = self.rng.normals(shape.iter().product());
        let scale: usize = if D == 1 { draws.len() } else { shape[1..].iter().product() };
        let values: Vec<f32> = draws.iter().map(|draw| (draw / (scale as f64).sqrt()) as f32).collect();
        let new = Tensor::from_data(TensorData::new(values, shape), &param.device());
        let id = param.id;
        param.transform_for_load(new, id)
    }
}

fn noise(seed: u64, batch: usize, device: &Device) -> Tensor<4> {
    let mut rng = Rng::new(seed, 0);
    let values: Vec<f32> = (0..batch * 3 * SIDE * SIDE).map(|_| (2.0 * rng.uniform() - 1.0) as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([batch, 3, SIDE, SIDE])
}

/// Pictures of one colour each.
fn plain(seed: u64, batch: usize, device: &Device) -> Tensor<4> {
    let mut rng = Rng::new(seed, 1);
    let colours: Vec<f32> = (0..batch * 3).map(|_| (2.0 * rng.uniform() - 1.0) as f32).collect();
    Tensor::<1>::from_floats(colours.as_slice(), device).reshape([batch, 3, 1, 1]).expand([batch, 3, SIDE, SIDE])
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Every parameter and buffer of a module.
fn contents<M: Module>(module: &M) -> Vec<Vec<f32>> {
    struct Contents(Vec<Vec<f32>>);
    impl ModuleVisitor for Contents {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(values(param.val()));
        }
    }
    let mut contents = Contents(Vec::new());
    module.visit(&mut contents);
    contents.0
}

fn adversary(discriminator: Discriminator, device: &Device) -> Adversary {
    let settings = AdversarialSettings { start: 0, ..AdversarialSettings::default() };
    Adversary::new(settings, discriminator, device).unwrap()
}

#[test]
fn a_patch_discriminator_learns_in_a_few_updates_to_tell_noise_from_plain_pictures() {
    for TestDevice { label, device } in devices() {
        let device = device.autodiff();
        let settings = AdversarialSettings { start: 0, ..AdversarialSettings::for_patch() };
        let mut adversary = Adversary::new(settings, small_patch(&device), &device).unwrap();
        let mut rng = Rng::new(1, 0);
        let mut losses = Vec::new();
        for step in 0..25 {
            let (real, fake) = (noise(step, 8, &device), plain(step, 8, &device));
            let draws = adversary.draw(&mut rng, 8, SIDE);
            let seen = adversary.discriminator_step(real, fake, &draws.discriminator, 5e-3);
            losses.push(seen[0].1);
        }
        let late = losses[20..].iter().sum::<f64>() / 5.0;
        assert!((losses[0] - 1.0).abs() < 0.2 && late < 0.3, "{losses:?} on {label}");
        // Pictures that it has not seen, as they are.
        let mut judge = adversary.discriminator().clone();
        let mut logits = |pictures| values(judge.forward(pictures, None, Mode::Evaluation).mean());
        let (real, fake) = (logits(noise(900, 8, &device))[0], logits(plain(900, 8, &device))[0]);
        assert!(real > 0.0 && fake < 0.0, "real {real}, fake {fake} on {label}");
        // The means follow the logits, a thousandth at a time.
        let mean = |mean: &Param<Tensor<1>>| values(mean.val())[0];
        let (real, fake) = (mean(&adversary.lecam().lecam_real), mean(&adversary.lecam().lecam_fake));
        assert!((0.0..0.1).contains(&real) && (-0.1..0.0).contains(&fake), "{real} {fake}");
    }
}

#[test]
fn with_all_gates_shut_augmentation_is_the_identity() {
    for on in devices() {
        let picture = noise(2, 3, &on.device);
        let mut draws = AugmentDraws::new(&mut Rng::new(7, 0), AugmentPolicy::WEAK, 3, SIDE);
        draws.gates = [0.51, 0.7, 0.999];
        assert_eq!(values(draws.apply(picture.clone())), values(picture.clone()));
        draws.gates = [0.5; 3];
        assert_ne!(values(draws.apply(picture.clone())), values(picture), "a gate opens up to its probability");
    }
}

#[test]
fn translation_moves_pixels_and_cutout_blanks_a_square() {
    let device = cpu().device;
    let picture = noise(2, 2, &device);
    let pixels = values(picture.clone());
    let mut draws = AugmentDraws::new(&mut Rng::new(7, 0), AugmentPolicy::STRONG, 2, SIDE);
    draws.policy.probability = 0.5;
    draws.shift = vec![[2, -3], [0, 4]];
    draws.gates = [1.0, 0.0, 1.0];
    let at =
        |values: &[f32], picture: usize, row: usize, column: usize| values[(picture * 3 * SIDE + row) * SIDE + column];
    let moved = values(draws.apply(picture));
    assert_eq!(at(&moved, 0, 5, 9), at(&pixels, 0, 7, 6));
    assert_eq!((at(&moved, 0, SIDE - 2, 9), at(&moved, 0, 5, 2)), (0.0, 0.0), "zeros move in");
    assert_eq!(at(&moved, 1, 5, 9), at(&pixels, 1, 5, 13));

    draws.gates = [1.0, 1.0, 0.0];
    draws.centre = vec![[0, SIDE], [10, 20]];
    let ones = Tensor::<4>::ones([2, 3, SIDE, SIDE], &device);
    let kept = values(draws.apply(ones));
    let blank = |picture: usize| {
        let plane = &kept[picture * 3 * SIDE * SIDE..][..SIDE * SIDE];
        (0..SIDE * SIDE).filter(|i| plane[*i] == 0.0).map(|i| (i / SIDE, i % SIDE)).collect::<Vec<_>>()
    };
    // Squares of 16 pixels from 8 before the centre: a corner, and a whole one.
    let (corner, whole) = (blank(0), blank(1));
    assert_eq!((corner.len(), corner[0], corner[63]), (64, (0, SIDE - 8), (7, SIDE - 1)));
    assert_eq!((whole.len(), whole[0], whole[255]), (256, (2, 12), (17, 27)));
}

#[test]
fn draws_repeat_stay_in_range_and_can_be_cut_into_parts() {
    let draw = |policy| AugmentDraws::new(&mut Rng::new(11, 5), policy, 500, SIDE);
    for policy in [AugmentPolicy::WEAK, AugmentPolicy::STRONG] {
        let draws = draw(policy);
        assert_eq!(draws, draw(policy));
        // 32 px: shifts up to 4; squares of 6 and 16 px, both even, so centres from 0 to 32.
        let extremes = |values: Vec<isize>| (*values.iter().min().unwrap(), *values.iter().max().unwrap());
        assert_eq!(extremes(draws.shift.iter().flatten().copied().collect()), (-4, 4));
        assert_eq!(extremes(draws.centre.iter().flatten().map(|v| *v as isize).collect()), (0, 32));
        assert!(draws.colour.iter().flatten().all(|u| (0.0..1.0).contains(u)));
    }
    let opened = |policy: AugmentPolicy| {
        let mut rng = Rng::new(12, 0);
        let gates = (0..1000).flat_map(|_| AugmentDraws::new(&mut rng, policy, 1, SIDE).open());
        gates.filter(|open| *open).count()
    };
    assert!(opened(AugmentPolicy::WEAK).abs_diff(1500) < 100);
    assert_eq!(opened(AugmentPolicy::STRONG), 3000);

    let picture = noise(3, 4, &cpu().device);
    let draws = AugmentDraws::new(&mut Rng::new(13, 0), AugmentPolicy::STRONG, 4, SIDE);
    let whole = values(draws.apply(picture.clone()));
    let parts = [0..1, 1..4].map(|part| values(draws.part(part.clone()).apply(picture.clone().slice([part]))));
    assert_eq!(parts.concat(), whole);
}

#[test]
fn a_picture_larger_than_the_trunk_is_cropped_half_of_the_time() {
    let device = cpu().device;
    let (dino, patch) = (small_dino(&device), small_patch(&device));
    let mut rng = Rng::new(1, 0);
    let crops: Vec<_> = (0..400).map(|_| dino.draw(&mut rng, AugmentPolicy::WEAK, 1, SIDE).crop).collect();
    let places: Vec<usize> = crops.iter().flatten().flatten().copied().collect();
    assert!((places.len() / 2).abs_diff(200) < 50, "{} of 400", places.len() / 2);
    assert_eq!((places.iter().min(), places.iter().max()), (Some(&0), Some(&16)));
    assert_eq!(dino.draw(&mut rng, AugmentPolicy::WEAK, 1, 16).crop, None);
    assert_eq!(patch.draw(&mut rng, AugmentPolicy::WEAK, 1, SIDE).crop, None);

    // What is cropped away has no say.
    let picture = noise(1, 2, &device);
    let blanked = picture.clone().slice_assign([0..2, 0..3, 20..32, 0..32], Tensor::zeros([2, 3, 12, 32], &device));
    let logits = |picture: &Tensor<4>, crop| values(dino.clone().forward(picture.clone(), crop, Mode::Evaluation));
    assert_eq!(logits(&picture, Some([4, 7])), logits(&blanked, Some([4, 7])));
    assert_ne!(logits(&picture, None), logits(&blanked, None));
}

/// The gradient against differences of the loss itself, along the gradient's own direction.
#[test]
fn the_generator_learns_through_augmentation_and_discriminator() {
    for on in devices() {
        let device = on.device.clone().autodiff();
        for (name, net) in [("dino", small_dino(&device)), ("patch", small_patch(&device))] {
            let before = contents(&net);
            let mut draws = net.draw(&mut Rng::new(6, 0), AugmentPolicy::STRONG, 2, SIDE);
            draws.crop = None;
            let picture = noise(5, 2, &on.device);
            let loss = |picture: Tensor<4>| net.generator_loss(picture, &draws);
            let leaf = Tensor::from_inner(picture.clone()).require_grad();
            let grads = loss(leaf.clone()).backward();
            let gradient = leaf.grad(&grads).expect("a gradient at the picture");

            let length = values(gradient.clone().square().sum())[0].sqrt();
            assert!(length > 1e-6, "{name} on {}: {length}", on.label);
            let direction = gradient / f64::from(length);
            const STEP: f64 = 0.005;
            let at = |step: f64| f64::from(values(loss(picture.clone() + direction.clone() * step))[0]);
            let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let off = (slope / f64::from(length) - 1.0).abs();
            assert!(off < 0.02, "{name} on {}: slope {slope}, gradient {length}", on.label);
            assert_eq!(contents(&net), before, "the generator's pass leaves no trace in {name}");
        }
    }
}

#[test]
fn the_trunk_is_frozen_and_the_heads_learn() {
    let device = cpu().device.autodiff();
    let mut adversary = adversary(small_dino(&device), &device);
    let parts = |adversary: &Adversary| match adversary.discriminator() {
        Discriminator::Dino(DinoDiscriminator { dino, heads }) => (contents(dino), contents(heads)),
        Discriminator::Patch(_) => panic!("a DINO discriminator was made"),
    };
    let (trunk, heads) = parts(&adversary);
    let draws = adversary.draw(&mut Rng::new(1, 0), 4, SIDE);
    let seen = adversary.discriminator_step(noise(1, 4, &device), plain(1, 4, &device), &draws.discriminator, 1e-3);
    let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["disc_loss", "disc_real", "disc_fake", "disc_lecam", "disc_consistency", "disc_grad_norm"]);
    assert!(seen.iter().all(|(_, value)| value.is_finite()), "{seen:?}");
    let (trunk_after, heads_after) = parts(&adversary);
    assert_eq!(trunk_after, trunk);
    let moved = heads.iter().zip(&heads_after).filter(|(before, after)| before != after).count();
    // The last convolution's u of each of the three heads is one number, 1 or -1.
    assert!(moved >= heads.len() - 3, "{moved} of {} tensors moved", heads.len());
}

#[test]
fn a_resumed_run_goes_on_exactly_as_if_it_had_not_stopped() {
    let device = cpu().device.autodiff();
    for fresh in [small_dino, small_patch] {
        let steps = |adversary: &mut Adversary, steps: std::ops::Range<u64>| {
            for at in steps {
                let draws = adversary.draw(&mut Rng::new(9, at), 3, SIDE);
                let (real, fake) = (noise(at, 3, &device), plain(at, 3, &device));
                adversary.discriminator_step(real, fake, &draws.discriminator, 1e-3);
            }
        };
        let mut first = adversary(fresh(&device), &device);
        steps(&mut first, 0..2);
        let folder = tempdir().unwrap();
        for (name, bytes) in first.files().unwrap() {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        // Other trained weights than those that were saved, on the same trunk: a trunk is not saved.
        let other = match fresh(&device) {
            Discriminator::Dino(DinoDiscriminator { dino, .. }) => Discriminator::on_trunk(dino, &device),
            Discriminator::Patch(_) => Discriminator::patch(&PatchConfig { widths: vec![8, 16, 32] }, &device),
        };
        let mut second = adversary(other, &device);
        assert_ne!(contents(second.discriminator()), contents(first.discriminator()));
        second = second.resume(folder.path()).unwrap();
        assert_eq!(contents(second.discriminator()), contents(first.discriminator()));
        steps(&mut first, 2..4);
        steps(&mut second, 2..4);
        assert_eq!(contents(second.discriminator()), contents(first.discriminator()));
        assert_eq!(contents(second.lecam()), contents(first.lecam()));

        let stranger = adversary(Discriminator::patch(&PatchConfig { widths: vec![4] }, &device), &device);
        assert!(stranger.resume(folder.path()).is_err(), "weights of another discriminator");
    }
}

#[test]
fn an_update_that_is_no_number_changes_nothing() {
    let device = cpu().device.autodiff();
    for fresh in [small_dino, small_patch] {
        let mut adversary = adversary(fresh(&device), &device);
        let draws = adversary.draw(&mut Rng::new(1, 0), 2, SIDE);
        let before = (contents(adversary.discriminator()), contents(adversary.lecam()));
        let broken = noise(1, 2, &device) * f32::NAN;
        let seen = adversary.discriminator_step(broken, plain(1, 2, &device), &draws.discriminator, 1e-3);
        assert!(seen.iter().any(|(_, value)| value.is_nan()), "{seen:?}");
        assert_eq!((contents(adversary.discriminator()), contents(adversary.lecam())), before);
    }
}

#[test]
fn every_device_gives_the_same_logits() {
    let mut first: Option<Vec<Vec<f32>>> = None;
    for on in devices() {
        let mut found = Vec::new();
        for mut net in [small_dino(&on.device), small_patch(&on.device)] {
            for mode in [Mode::Training, Mode::Evaluation] {
                found.push(values(net.forward(noise(8, 2, &on.device), None, mode)));
            }
        }
        let first = first.get_or_insert_with(|| found.clone());
        for (pass, (got, want)) in found.iter().zip(first).enumerate() {
            let worst = got.iter().zip(want.iter()).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
            let largest = want.iter().fold(0.0, |largest: f32, want| largest.max(want.abs()));
            assert!(worst < 1e-4 * largest, "pass {pass} on {}: {worst} of {largest}", on.label);
        }
    }
}

#[test]
fn nothing_adversarial_happens_before_its_start_and_settings_must_make_sense() {
    let settings = AdversarialSettings::default();
    assert_eq!([0, 29_999, 30_000, 90_000].map(|step| settings.weight_at(step)), [0.0, 0.0, 0.4, 0.4]);
    let device = cpu().device.autodiff();
    for broken in [
        AdversarialSettings { weight: -1.0, ..settings.clone() },
        AdversarialSettings { clip: 0.0, ..settings.clone() },
        AdversarialSettings { lecam: f64::NAN, ..settings.clone() },
        AdversarialSettings { consistency: -0.5, ..settings },
    ] {
        assert!(Adversary::new(broken, small_patch(&device), &device).is_err());
    }
}

/// A trainer computes the parts of a batch on several threads, which share the opponent.
#[test]
fn the_parts_of_a_batch_may_ask_for_their_losses_at_the_same_time() {
    let device = cpu().device.autodiff();
    let adversary = adversary(small_patch(&device), &device);
    let draws = adversary.draw(&mut Rng::new(2, 0), 4, SIDE).generator;
    let pictures = noise(4, 4, &cpu().device);
    let whole = values(adversary.generator_loss(pictures.clone(), &draws))[0];
    let parts = std::thread::scope(|scope| {
        let jobs = [0..2, 2..4].map(|part| {
            let (adversary, draws, pictures) = (&adversary, &draws, &pictures);
            scope.spawn(move || {
                let picture = pictures.clone().slice([part.clone()]);
                values(adversary.generator_loss(picture, &draws.part(part)))[0]
            })
        });
        jobs.map(|job| job.join().unwrap())
    });
    assert!((parts.iter().sum::<f32>() / 2.0 - whole).abs() < 1e-5, "{parts:?} {whole}");
}
