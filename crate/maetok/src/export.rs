//! Latents as files that others read: `.npy` for NumPy, safetensors for everybody.
//!
//! The `.npy` format is a magic word, a version, a Python dictionary and the numbers; see NumPy's
//! `numpy.lib.format`. Only what this project and `numpy.save` write of `float32` and `float64` is read.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The numbers begin at a multiple of this.
const ALIGNMENT: usize = 64;
/// Longest header of version 1.0.
const MAX_HEADER: usize = 1 << 16;

/// Numbers with a shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// As many numbers as the lengths' product.
    pub values: Vec<f32>,
}

impl Array {
    /// Numbers of a shape.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are not as many as the shape says.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Result<Self> {
        let count = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        if count != Some(values.len()) {
            return Err(Error::setting(
                "array",
                format!("{} numbers", values.len()),
                format!("as many as {shape:?} has"),
            ));
        }
        Ok(Self { shape, values })
    }

    /// The bytes of an `.npy` file, `float32`, little-endian.
    pub fn to_npy(&self) -> Vec<u8> {
        let sides: String = self.shape.iter().map(|side| format!("{side}, ")).collect();
        // A tuple of one keeps its comma, as Python writes it.
        let sides = if self.shape.len() == 1 { sides.trim_end() } else { sides.trim_end_matches(", ") };
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}");
        let begin = MAGIC.len() + 2;
        let padded = (begin + header.len() + 1).next_multiple_of(ALIGNMENT) - begin;
        header.extend(std::iter::repeat_n(' ', padded - header.len() - 1));
        header.push('\n');
        let length = u16::try_from(padded).expect("a short header").to_le_bytes();
        let numbers = self.values.iter().flat_map(|value| value.to_le_bytes());
        MAGIC.iter().copied().chain(length).chain(header.into_bytes()).chain(numbers).collect()
    }

    /// Reads an `.npy` file of `float32` or `float64` numbers, row-major and little-endian.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is something else, or not whole.
    pub fn from_npy(file: &[u8]) -> Result<Self> {
        let wrong =
            |what: &str| Error::setting("npy file", what, "float32 or float64 numbers as numpy.save writes them");
        let rest = file.strip_prefix(&MAGIC[..MAGIC.len() - 2]).ok_or_else(|| wrong("of another kind"))?;
        let (version, rest) = rest.split_at_checked(2).ok_or_else(|| wrong("cut short"))?;
        let width = if version[0] == 1 { 2 } else { 4 };
        let (length, rest) = rest.split_at_checked(width).ok_or_else(|| wrong("cut short"))?;
        let length = length.iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        if length > MAX_HEADER {
            return Err(wrong("of another kind"));
        }
        let (header, numbers) = rest.split_at_checked(length).ok_or_else(|| wrong("cut short"))?;
        let header = std::str::from_utf8(header).map_err(|_| wrong("of another kind"))?;
        if !header.contains("'fortran_order': False") {
            return Err(wrong("column-major"));
        }
        let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
        let (sides, _) = shape.ok_or_else(|| wrong("without a shape"))?;
        let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape: Vec<usize> =
            sides.map(|side| side.parse().map_err(|_| wrong("without a shape"))).collect::<Result<_>>()?;
        let values: Vec<f32> = if header.contains("'<f4'") {
            numbers.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        } else if header.contains("'<f8'") {
            let wide = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("eight bytes"));
            numbers.chunks_exact(8).map(|b| wide(b) as f32).collect()
        } else {
            return Err(wrong("of another type"));
        };
        Self::new(shape, values).map_err(|_| wrong("cut short"))
    }
}

/// The bytes of a safetensors file of named arrays, with `metadata` as its `__metadata__`.
///
/// # Errors
/// [`Error::Setting`] if the format cannot hold them.
pub fn to_safetensors(arrays: &[(String, Array)], metadata: HashMap<String, String>) -> Result<Vec<u8>> {
    let wrong = |e: safetensors::SafeTensorError| Error::setting("arrays", e, "what a safetensors file can hold");
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(_, array)| array.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = arrays.iter().zip(&bytes).map(|((name, array), bytes)| {
        TensorView::new(Dtype::F32, array.shape.clone(), bytes).map(|view| (name.clone(), view)).map_err(wrong)
    });
    serialize(views.collect::<Result<Vec<_>>>()?, Some(metadata)).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_array_comes_back_from_npy(shape in prop::collection::vec(0usize..5, 0..4), seed: u32) {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|i| (seed as f32 + i as f32) * 0.37).collect();
            let array = Array::new(shape, values).unwrap();
            let file = array.to_npy();
            prop_assert_eq!((file.len() - 4 * count) % ALIGNMENT, 0);
            prop_assert_eq!(Array::from_npy(&file).unwrap(), array);
        }

        #[test]
        fn no_file_makes_it_panic(at: prop::sample::Index, byte: u8) {
            let mut file = Array::new(vec![2, 3], vec![0.5; 6]).unwrap().to_npy();
            let at = at.index(file.len());
            prop_assert!(Array::from_npy(&file[..at]).is_err(), "cut at {}", at);
            file[at] = byte;
            let _ = Array::from_npy(&file);
        }
    }

    /// Written by NumPy 2.4.6: `numpy.save(file, numpy.array([[1.5, -2.0]], dtype=numpy.float64))`.
    #[test]
    fn numpys_own_file_is_read() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }";
        let mut file = [MAGIC, &[0x76, 0x00]].concat();
        file.extend(format!("{header:<117}\n").bytes());
        file.extend([1.5f64, -2.0].iter().flat_map(|value| value.to_le_bytes()));
        assert_eq!(Array::from_npy(&file).unwrap(), Array { shape: vec![1, 2], values: vec![1.5, -2.0] });
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for (file, what) in [(&b"PNG"[..], "of another kind"), (&b"\x93NUMPY\x01\x00\xff\xff"[..], "cut short")] {
            let error = Array::from_npy(file).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        assert!(Array::new(vec![2, usize::MAX], vec![]).is_err());
    }

    #[test]
    fn safetensors_holds_names_shapes_numbers_and_a_word_about_them() {
        let array = Array::new(vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let metadata = HashMap::from([("request".to_owned(), "{}".to_owned())]);
        let file = to_safetensors(&[("clean".into(), array)], metadata).unwrap();
        let read = safetensors::SafeTensors::deserialize(&file).unwrap();
        let tensor = read.tensor("clean").unwrap();
        assert_eq!(tensor.shape(), [2, 2]);
        assert_eq!(tensor.data()[..4], 1.0f32.to_le_bytes());
        let (_, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["request"], "{}");
    }
}
