//! Settings on the command line: what cannot be read is refused in the words in which the library refuses what is out
//! of range. The ranges themselves are the library's to check.

use std::str::FromStr;

use maetok::checkpoint::Weights;
use maetok::{Error, Result};
use serde::de::DeserializeOwned;

/// Reads the number `name`, which must be `want`.
pub fn number<T: FromStr>(name: &'static str, want: &'static str) -> impl Fn(&str) -> Result<T> + Clone + Send + Sync {
    move |text| text.trim().parse().map_err(|_| Error::setting(name, text, want))
}

/// Reads `N` numbers with `between` between them.
pub fn numbers<T: FromStr, const N: usize>(
    name: &'static str,
    between: char,
    want: &'static str,
) -> impl Fn(&str) -> Result<[T; N]> + Clone + Send + Sync {
    move |text| {
        let read: Option<Vec<T>> = text.split(between).map(|part| part.trim().parse().ok()).collect();
        read.and_then(|parts| parts.try_into().ok()).ok_or_else(|| Error::setting(name, text, want))
    }
}

/// Reads a choice by the name it has in a run's files.
pub fn choice<T: DeserializeOwned>(
    name: &'static str,
    want: &'static str,
) -> impl Fn(&str) -> Result<T> + Clone + Send + Sync {
    move |text| serde_json::from_value(text.into()).map_err(|_| Error::setting(name, text, want))
}

/// Reads how weights are kept.
pub fn weights() -> impl Fn(&str) -> Result<Weights> + Clone + Send + Sync {
    choice("weights", "as-shipped, f32 or int8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused_with_what_would_be() {
        let steps = number::<usize>("steps", "a number from 1 to 1000");
        assert_eq!(steps(" 12").unwrap(), 12);
        let message = steps("-5").unwrap_err().to_string();
        assert_eq!(message, "The setting steps is -5, but it must be a number from 1 to 1000.");
    }

    #[test]
    fn a_list_has_exactly_as_many_numbers_as_are_wanted() {
        let size = numbers::<usize, 3>("encoder", 'x', "width, blocks and heads");
        assert_eq!(size("192x4x3").unwrap(), [192, 4, 3]);
        for text in ["192x4", "192x4x3x1", "192x-4x3", "", "x"] {
            assert!(size(text).unwrap_err().to_string().contains("width, blocks and heads"), "{text}");
        }
    }
}
