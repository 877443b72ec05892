//! The shipped model with weights in fewer bits, beside f32. In a process of its own: it looks at the device's memory.

use std::path::Path;

use maetok::checkpoint::ModelFiles;
use maetok::measure::storage::{Cost, Effort, costs};
use maetok_tests::devices;

/// Bounds are about twice what was measured.
#[test]
fn f16_is_f32_but_for_the_order_of_sums_and_int8_is_near() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/toon-128");
    let files = ModelFiles::from_folder(&model).unwrap();
    for on in devices() {
        let effort = Effort { pictures: 3, steps: 10, runs: 0 };
        let [plain, shipped, int8] =
            pollster::block_on(costs(&files, &on.device, effort, || 0.0)).unwrap().try_into().unwrap();
        let worst = |cost: &Cost| cost.blocks.iter().map(|(_, error)| *error).fold(0.0, f64::max);
        // Encoder, latent, decoder, pixels, generator, velocity.
        assert_eq!(plain.blocks.len(), 4 + 1 + 4 + 1 + 6 + 1, "{:?}", plain.blocks);
        assert_eq!((worst(&plain), plain.samples.unwrap().farthest), (0.0, 0));
        assert!(worst(&shipped) < 1e-5, "{:?} on {}", shipped.blocks, on.label);
        for apart in [shipped.reconstructions, shipped.samples.unwrap()] {
            assert!(apart.farthest <= 1, "{apart:?} on {}", on.label);
        }
        assert!((1e-3..5e-2).contains(&worst(&int8)), "{:?} on {}", int8.blocks, on.label);
        assert!(int8.reconstructions.psnr > 40.0, "{:?} on {}", int8.reconstructions, on.label);
        assert!(int8.samples.unwrap().psnr > 35.0, "{:?} on {}", int8.samples, on.label);
        if on.label == "cpu" {
            assert_eq!(shipped.blocks, plain.blocks, "the same f32");
            continue;
        }
        let bytes = [&plain, &shipped, &int8].map(|cost| cost.bytes.unwrap() as f64);
        assert!(bytes[1] < 0.55 * bytes[0] && bytes[2] < 0.35 * bytes[0], "{bytes:?} on {}", on.label);
    }
}
