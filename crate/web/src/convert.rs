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

/// RGB to the RGBA a canvas takes, picture after picture.
pub fn to_rgba(pictures: &[RgbImage]) -> Uint8ClampedArray {
    let rgba: Vec<u8> = pictures.iter().flat_map(RgbImage::pixels).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
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

/// Reads the JSON of [`crate::Engine::start`]: one request, or a list. Ranges are the pipeline's to check; here only types
/// are.
///
/// # Errors
/// [`Error::UnknownClass`] for a class the model lacks, [`Error::Setting`] for a value of a wrong type.
pub fn requests(json: &str, manifest: &Manifest) -> Result<Vec<SampleRequest>, Error> {
    match serde_json::from_str(json).map_err(wrong)? {
        Value::Array(list) => list.into_iter().map(|one| request(one, manifest)).collect(),
        one => Ok(vec![request(one, manifest)?]),
    }
}

fn request(mut json: Value, manifest: &Manifest) -> Result<SampleRequest, Error> {
    if let Some(request) = json.as_object_mut() {
        number_class(request, manifest)?;
        number_seed(request)?;
        if let Some(toward) = request.get_mut("toward").and_then(Value::as_object_mut) {
            number_class(toward, manifest)?;
        }
        if let Some(blend) = request.get_mut("blend").and_then(Value::as_object_mut) {
            number_seed(blend)?;
        }
    }
    // A list would be read as the fields in their order.
    if !json.is_object() {
        return Err(wrong("not an object"));
    }
    serde_json::from_value(json).map_err(wrong)
}

fn wrong(e: impl ToString) -> Error {
    Error::setting(
        "request",
        e,
        "an object of class, toward, seed, blend, steps, guidance, interval, sampler and start",
    )
}

/// A class's name becomes its number.
fn number_class(fields: &mut Map<String, Value>, manifest: &Manifest) -> Result<(), Error> {
    if let Some(Value::String(name)) = fields.get("class") {
        let index = manifest.class_index(name)?;
        fields.insert("class".into(), index.into());
    }
    Ok(())
}

/// A seed's digits become a number.
fn number_seed(fields: &mut Map<String, Value>) -> Result<(), Error> {
    if let Some(Value::String(digits)) = fields.get("seed") {
        let seed: u64 =
            digits.parse().map_err(|_| Error::setting("seed", digits, "a whole number from 0 to 2^64 - 1"))?;
        fields.insert("seed".into(), seed.into());
    }
    Ok(())
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
        let json = r#"{"class":"bottts","seed":"18446744073709551615","steps":3}"#;
        let [request] = &requests(json, &manifest()).unwrap()[..] else { panic!("one request") };
        assert_eq!((request.class, request.seed, request.steps), (1, u64::MAX, 3));
    }

    #[test]
    fn a_list_of_requests_names_other_classes_and_seeds_too() {
        let json = r#"[{"toward":{"class":"bottts","share":0.5}},{"blend":{"seed":"7","share":0.25,"way":"linear"}}]"#;
        let [first, second] = &requests(json, &manifest()).unwrap()[..] else { panic!("two requests") };
        assert_eq!(first.toward.map(|toward| (toward.class, toward.share)), Some((1, 0.5)));
        assert_eq!(second.blend.map(|blend| (blend.seed, blend.share)), Some((7, 0.25)));
        assert_eq!(requests(r#"{"toward":{"class":"x","share":0}}"#, &manifest()).unwrap_err().code(), "unknown-class");
    }

    #[test]
    fn a_request_with_wrong_types_is_refused_not_guessed() {
        let code = |json: &str| requests(json, &manifest()).unwrap_err().code();
        assert_eq!(code(r#"{"class":"lorelay"}"#), "unknown-class");
        assert_eq!(code(r#"{"class":"lorelei","seed":"-1"}"#), "setting");
        assert_eq!(code(r#"{"class":"lorelei","guidance":null}"#), "setting");
        assert_eq!(code(r#"{"class":"lorelei","steps":2.5}"#), "setting");
        assert_eq!(code("[[]]"), "setting");
        assert_eq!(code("3"), "setting");
        assert_eq!(code("{"), "setting");
    }

    #[test]
    fn transparency_is_dropped_and_rows_stay_in_order() {
        let picture = to_rgb(&[1, 2, 3, 0, 4, 5, 6, 255], 1).unwrap();
        assert_eq!((picture.dimensions(), picture.as_raw().as_slice()), ((1, 2), [1, 2, 3, 4, 5, 6].as_slice()));
    }
}
