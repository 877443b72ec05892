//! Files in and out; none of this needs a device.

use std::collections::HashMap;

use js_sys::{Array, Float32Array, Uint8Array, Uint8ClampedArray};
use maetok::export::{self, to_safetensors};
use maetok::image::{self, RgbImage, centre_crop, square_crop};
use maetok::{Error, eval};
use wasm_bindgen::prelude::*;

use crate::convert::{throw, to_rgb, to_rgba};

/// Longest side of [`Opened::overview`].
const OVERVIEW: u32 = 640;

/// A PNG file of an RGBA picture `width` pixels wide; transparency is dropped. `text` goes inside, see [`png_text`].
///
/// # Errors
/// Code `picture` if the bytes are not whole rows of `width` RGBA pixels.
#[wasm_bindgen(js_name = encodePng)]
pub fn encode_png(rgba: &[u8], width: u32, text: Option<String>) -> Result<Uint8Array, JsValue> {
    let picture = to_rgb(rgba, width).map_err(throw)?;
    let file = match text {
        None => image::encode_png(&picture),
        Some(text) => image::encode_png_with(&picture, &text),
    };
    Ok(Uint8Array::from(file.map_err(throw)?.as_slice()))
}

/// The text that [`encode_png`] put into a file; `undefined` if it is none of ours.
///
/// # Errors
/// Code `picture` if the text is damaged or too long.
#[wasm_bindgen(js_name = pngText)]
pub fn png_text(file: &[u8]) -> Result<Option<String>, JsValue> {
    image::png_text(file).map_err(throw)
}

/// A picture file, read.
#[wasm_bindgen(getter_with_clone)]
pub struct Opened {
    /// The square that was asked for at the model's size, RGBA.
    pub square: Uint8ClampedArray,
    /// Side of the square's picture in pixels.
    pub size: u32,
    /// The whole picture, reduced to be looked at, RGBA.
    pub overview: Uint8ClampedArray,
    /// Width of the overview in pixels.
    #[wasm_bindgen(js_name = overviewWidth)]
    pub overview_width: u32,
    /// Height of the overview in pixels.
    #[wasm_bindgen(js_name = overviewHeight)]
    pub overview_height: u32,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// What was done to the file to read it, one sentence each.
    pub notices: Vec<String>,
}

/// Reads a picture file (PNG, JPEG, WebP, GIF) and cuts a square of it to `size` pixels: the middle, or `crop`, which is
/// left, top and side in the picture's own pixels.
///
/// # Errors
/// Code `picture` if the file is none or has a size that is not taken, `setting` for a crop of other than three numbers.
#[wasm_bindgen(js_name = openPicture)]
pub fn open_picture(file: &[u8], size: u32, crop: Option<Vec<u32>>) -> Result<Opened, JsValue> {
    let picture = image::decode(file).map_err(throw)?;
    let square = match crop.as_deref() {
        None => centre_crop(&picture.rgb, size as usize),
        Some([x, y, side]) => square_crop(&picture.rgb, *x, *y, *side, size as usize),
        Some(crop) => return Err(throw(Error::setting("crop", format!("{crop:?}"), "left, top and side"))),
    };
    let overview = image::overview(&picture.rgb, OVERVIEW);
    Ok(Opened {
        square: to_rgba(&[square]),
        size,
        overview_width: overview.width(),
        overview_height: overview.height(),
        overview: to_rgba(&[overview]),
        width: picture.rgb.width(),
        height: picture.rgb.height(),
        notices: picture.notices,
    })
}

/// PSNR in dB (infinite when equal) and SSIM of two RGBA pictures of one size.
///
/// # Errors
/// Code `picture` if they are not whole rows, or of different sizes.
#[wasm_bindgen]
pub fn scores(a: &[u8], b: &[u8], width: u32) -> Result<Vec<f64>, JsValue> {
    let (a, b) = (to_rgb(a, width).map_err(throw)?, to_rgb(b, width).map_err(throw)?);
    if RgbImage::dimensions(&a) != b.dimensions() {
        return Err(throw(Error::picture("The two pictures differ in size")));
    }
    Ok(vec![eval::psnr(&a, &b), eval::ssim(&a, &b)])
}

/// An `.npy` file of numbers in rows of `shape`.
///
/// # Errors
/// Code `setting` if the shape does not fit.
#[wasm_bindgen(js_name = toNpy)]
pub fn to_npy(values: Vec<f32>, shape: Vec<u32>) -> Result<Uint8Array, JsValue> {
    let array = array(values, &shape).map_err(throw)?;
    Ok(Uint8Array::from(array.to_npy().as_slice()))
}

/// A safetensors file: `names[i]` has the numbers `values[i]` and the shape `shapes[i]`; `metadata` is a JSON object of
/// strings.
///
/// # Errors
/// Code `setting` if a shape does not fit, or the metadata are something else.
#[wasm_bindgen(js_name = toSafetensors)]
pub fn to_safetensors_file(
    names: Vec<String>,
    values: Vec<Float32Array>,
    shapes: Vec<Array>,
    metadata: &str,
) -> Result<Uint8Array, JsValue> {
    let wrong = |e| throw(Error::setting("metadata", e, "a JSON object of strings"));
    let metadata: HashMap<String, String> = serde_json::from_str(metadata).map_err(wrong)?;
    let arrays: Result<Vec<_>, Error> = names
        .into_iter()
        .zip(values.iter().zip(&shapes))
        .map(|(name, (values, shape))| {
            let shape: Vec<u32> = shape.iter().filter_map(|side| side.as_f64()).map(|side| side as u32).collect();
            Ok((name, array(values.to_vec(), &shape)?))
        })
        .collect();
    let file = to_safetensors(&arrays.map_err(throw)?, metadata).map_err(throw)?;
    Ok(Uint8Array::from(file.as_slice()))
}

fn array(values: Vec<f32>, shape: &[u32]) -> Result<export::Array, Error> {
    export::Array::new(shape.iter().map(|side| *side as usize).collect(), values)
}
