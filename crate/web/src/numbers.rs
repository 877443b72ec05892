//! Arithmetic on latents that needs no model.

use js_sys::Float32Array;
use maetok::eval::Pca;
use maetok::{Device, Error, mix};
use wasm_bindgen::prelude::*;

use crate::convert::throw;

/// `a` with a `share` of `b`, from 0 to 1; `way` is `"linear"` or `"spherical"`.
///
/// # Errors
/// Code `setting` for another way, or latents of different lengths.
#[wasm_bindgen(js_name = mixLatents)]
pub fn mix_latents(a: &[f32], b: &[f32], share: f64, way: &str) -> Result<Float32Array, JsValue> {
    if a.len() != b.len() {
        return Err(throw(Error::setting("latents", b.len(), format!("{} numbers, as the others", a.len()))));
    }
    let way = way.parse().map_err(throw)?;
    let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let mixed: Vec<f32> = mix::mix(&wide(a), &wide(b), share, way).iter().map(|x| *x as f32).collect();
    Ok(Float32Array::from(mixed.as_slice()))
}

/// Principal components of rows of numbers.
#[wasm_bindgen]
pub struct Components {
    pca: Pca,
}

#[wasm_bindgen]
impl Components {
    /// Fits up to `count` components to rows of `width` numbers, on the processor.
    ///
    /// # Errors
    /// Code `setting` if there are no rows, or one that is not whole.
    pub fn fit(rows: &[f32], width: u32, count: u32) -> Result<Components, JsValue> {
        let width = width as usize;
        if width == 0 || rows.is_empty() || !rows.len().is_multiple_of(width) {
            return Err(throw(Error::setting("rows", rows.len(), format!("whole rows of {width} numbers"))));
        }
        Ok(Self { pca: Pca::fit(rows, width, count as usize, &Device::flex()) })
    }

    /// Number of components.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> u32 {
        self.pca.components() as u32
    }

    /// Share of the rows' variance that each component holds, from 0 to 1.
    pub fn shares(&self) -> Vec<f64> {
        self.pca.shares()
    }

    /// Coordinates of rows along the components.
    ///
    /// # Errors
    /// Code `setting` if a row is not whole, or there are no components.
    pub fn project(&self, rows: &[f32]) -> Result<Float32Array, JsValue> {
        if self.count() == 0 || !rows.len().is_multiple_of(self.pca.width()) {
            return Err(throw(Error::setting(
                "rows",
                rows.len(),
                format!("whole rows of {} numbers", self.pca.width()),
            )));
        }
        Ok(Float32Array::from(self.pca.codes(rows, &Device::flex()).as_slice()))
    }
}
