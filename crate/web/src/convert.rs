//! What crosses the border: pictures, requests, errors.

use js_sys::{Reflect, Uint8ClampedArray};
use maetok::Error;
use maetok::checkpoint::Manifest;
use maetok::image::RgbImage;
use maetok::pipeline::SampleRequest;
use serde_json::{Map, Value};
use wasm_bindgen::JsValue;

/// Our error as a JavaScript `Error` with `code`.
pub fn throw(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    // Setting a property on an object made one line above cannot fail.
    let _ = Reflect::set(&js, &"code".into(), &error.code().into());
    js.into()
}

/// RGB to the RGBA a canvas takes.
pub fn to_rgba(picture: &RgbImage) -> Uint8ClampedArray {
    let rgba: Vec<u8> = picture.pixels().flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let array = Uint8ClampedArray::new_with_length(rgba.len() as u32);
    array.copy_from(&rgba);
    array
}

/// A canvas's RGBA to RGB.
///
/// # Errors
/// [`Error::Picture`] if the bytes are not whole rows of `width` pixels.
pub fn to_rgb(rgba: &[u8], width: u32) -> Result<RgbImage, Error> {
    let row = width as usize * 4;
    let wrong = || Error::picture(format!("{} bytes are not whole rows of {width} RGBA pixels", rgba.len()));
    if row == 0 || rgba.is_empty() || !rgba.len().is_multiple_of(row) {
        return Err(wrong());
    }
    let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    RgbImage::from_raw(width, (rgba.len() / row) as u32, rgb).ok_or_else(wrong)
}

/// Reads the JSON of [`crate::Engine::start`]. Ranges are the pipeline's to check; here only types are.
///
/// # Errors
/// [`Error::UnknownClass`] for a class the model lacks, [`Error::Setting`] for a value of a wrong type.
pub fn request(json: &str, manifest: &Manifest) -> Result<SampleRequest, Error> {
    let wrong = |e| Error::setting("request", e, "an object of class, seed, steps, guidance, interval and sampler");
    let mut request: Map<String, Value> = serde_json::from_str(json).map_err(wrong)?;
    if let Some(Value::String(name)) = request.get("class") {
        let index = manifest.class_index(name)?;
        request.insert("class".into(), index.into());
    }
    if let Some(Value::String(digits)) = request.get("seed") {
        let seed: u64 =
            digits.parse().map_err(|_| Error::setting("seed", digits, "a whole number from 0 to 2^64 - 1"))?;
        request.insert("seed".into(), seed.into());
    }
    serde_json::from_value(Value::Object(request)).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use maetok::checkpoint::ClassEntry;

    use super::*;

    #[test]
    fn rgba_that_is_not_whole_rows_is_refused() {
        assert_eq!(to_rgb(&[0; 12], 2).unwrap_err().code(), "picture");
        assert_eq!(to_rgb(&[0; 16], 0).unwrap_err().code(), "picture");
        assert_eq!(to_rgb(&[], 2).unwrap_err().code(), "picture");
    }

    fn manifest() -> Manifest {
        let class =
            |name: &str| ClassEntry { name: name.into(), label: name.into(), group: String::new(), thumbnail: None };
        Manifest { classes: vec![class("lorelei"), class("bottts")], ..Manifest::draft("test", 64) }
    }

    #[test]
    fn a_request_names_its_class_and_may_write_its_seed_as_digits() {
        let request = request(r#"{"class":"bottts","seed":"18446744073709551615","steps":3}"#, &manifest()).unwrap();
        assert_eq!((request.class, request.seed, request.steps), (1, u64::MAX, 3));
    }

    #[test]
    fn a_request_with_wrong_types_is_refused_not_guessed() {
        let code = |json: &str| request(json, &manifest()).unwrap_err().code();
        assert_eq!(code(r#"{"class":"lorelay"}"#), "unknown-class");
        assert_eq!(code(r#"{"class":"lorelei","seed":"-1"}"#), "setting");
        assert_eq!(code(r#"{"class":"lorelei","guidance":null}"#), "setting");
        assert_eq!(code(r#"{"class":"lorelei","steps":2.5}"#), "setting");
        assert_eq!(code("[]"), "setting");
    }

    #[test]
    fn transparency_is_dropped_and_rows_stay_in_order() {
        let picture = to_rgb(&[1, 2, 3, 0, 4, 5, 6, 255], 1).unwrap();
        assert_eq!((picture.dimensions(), picture.as_raw().as_slice()), ((1, 2), [1, 2, 3, 4, 5, 6].as_slice()));
    }
}
