//! Pictures in and out: decoding what people bring, the official crop, and the byte conversions.
//!
//! Everything here works on 8-bit RGB; see [`decode`] for how other pictures become that.

mod convert;
mod crop;
mod decode;
#[cfg(test)]
mod decode_tests;
mod png_text;

pub use ::image::RgbImage;
pub use convert::{
    Rounding, encode_png, from_pixels, from_planes, generated_byte, generated_to_bytes, grid, reconstruction_byte,
    reconstruction_to_bytes, to_planes,
};
pub use crop::{centre_crop, overview, square_crop};
pub use decode::{MAX_PIXELS, MAX_SIDE, MIN_SIDE, Picture, decode};
pub use png_text::{MAX_TEXT, encode_png_with, png_text};
