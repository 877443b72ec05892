//! The shipped tokenizer on the CPU: hidden patches, several pictures at once.

use super::*;
use crate::checkpoint::ModelFiles;
use burn::tensor::Device;

/// The shipped model.
fn pipeline() -> Pipeline {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/toon-128");
    Pipeline::load(&ModelFiles::from_folder(&models).unwrap(), &Device::flex()).unwrap()
}

/// A picture that is nowhere the same.
fn stripes(size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| image::Rgb([(x * 3 % 256) as u8, (y * 5 % 256) as u8, ((x + y) % 256) as u8]))
}

#[test]
fn what_is_hidden_cannot_influence_the_latent_and_the_rest_does() {
    let pipeline = pipeline();
    let (size, patches) = (pipeline.image_size() as u32, pipeline.patches());
    assert!(pipeline.can_hide());
    let picture = stripes(size);
    let encode =
        |picture: &RgbImage, hidden: &[bool]| pollster::block_on(pipeline.encode_hiding(picture, hidden)).unwrap();
    let open = vec![false; patches];
    assert_eq!(encode(&picture, &open), pollster::block_on(pipeline.encode(&picture)).unwrap());

    let mut first = open;
    first[0] = true;
    let mut other = picture.clone();
    other.put_pixel(2, 3, image::Rgb([255, 0, 255]));
    assert_eq!(encode(&picture, &first), encode(&other, &first), "the patch is hidden");
    other.put_pixel(size - 1, size - 1, image::Rgb([255, 0, 255]));
    assert_ne!(encode(&picture, &first), encode(&other, &first), "the last patch is not");

    let all = vec![true; patches];
    assert_eq!(encode(&picture, &all), encode(&other, &all));
}

#[test]
fn flags_that_do_not_fit_are_refused() {
    let error = pollster::block_on(pipeline().encode_hiding(&stripes(40), &[true; 3])).unwrap_err();
    assert!(matches!(error, Error::Setting { name: "hidden", .. }), "{error}");
}

#[test]
fn several_are_decoded_as_one_by_one() {
    let pipeline = pipeline();
    let size = pipeline.image_size() as u32;
    let pictures = [stripes(size), RgbImage::from_pixel(size, size, image::Rgb([10, 200, 90]))];
    let each = pictures.map(|picture| pollster::block_on(pipeline.encode(&picture)).unwrap());
    let together = pollster::block_on(pipeline.decode_many(&each.concat(), Rounding::Generated)).unwrap();
    for (latents, got) in each.iter().zip(&together) {
        let alone = pollster::block_on(pipeline.decode(latents)).unwrap();
        let worst = alone.as_raw().iter().zip(got.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{worst:?}");
    }
    for wrong in [vec![], vec![0.0; 7]] {
        let error = pollster::block_on(pipeline.decode_many(&wrong, Rounding::Generated)).unwrap_err();
        assert_eq!(error.code(), "setting");
    }
}
