//! How many pictures of each class: samples, training pictures and held-out pictures can only be compared where the
//! classes have the same shares.

use std::str::FromStr;

use serde::Serialize;

use crate::rng::Rng;
use crate::train::data::stream;
use crate::{Error, Result};

/// Whose shares of the classes samples and reference have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// Those of the held-out pictures, which are then beside the samples on equal terms.
    #[default]
    HeldOut,
    /// Equal ones.
    Balanced,
    /// Those of the training pictures.
    Training,
}

impl FromStr for Mix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "held-out" => Ok(Self::HeldOut),
            "balanced" => Ok(Self::Balanced),
            "training" => Ok(Self::Training),
            _ => Err(Error::setting("mix", text, "held-out, balanced or training")),
        }
    }
}

/// Number of pictures of each of `classes`.
pub fn counts(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|label| counts[*label] += 1);
    counts
}

/// `total` as whole numbers in proportion to `weights`; what is left by rounding down goes to the largest remainders.
///
/// # Panics
/// If all weights are zero.
pub fn allocate(total: usize, weights: &[usize]) -> Vec<usize> {
    let sum: usize = weights.iter().sum();
    assert!(sum > 0, "shares of nothing");
    let mut counts: Vec<usize> = weights.iter().map(|weight| total * weight / sum).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|class| (std::cmp::Reverse(total * weights[*class] % sum), *class));
    let left = total - counts.iter().sum::<usize>();
    order[..left].iter().for_each(|class| counts[*class] += 1);
    counts
}

/// Indices of `counts[class]` pictures of every class, of all where there are fewer, class after class. Which ones is
/// chance, but the same at every call, and fewer are the first of more.
pub fn choose(labels: &[usize], counts: &[usize]) -> Vec<usize> {
    let of_class = |class: usize| (0..labels.len()).filter(|at| labels[*at] == class).collect::<Vec<usize>>();
    (0..counts.len())
        .flat_map(|class| {
            let members = of_class(class);
            let order = Rng::new(0, stream::HELD_OUT | class as u64).permutation(members.len());
            order.into_iter().take(counts[class]).map(|at| members[at]).collect::<Vec<usize>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_are_never_off_by_one_whole() {
        for total in [0, 1, 7, 100, 1075] {
            let weights = [60, 0, 17, 4, 33];
            let got = allocate(total, &weights);
            assert_eq!(got.iter().sum::<usize>(), total);
            for (count, weight) in got.iter().zip(weights) {
                let exact = total as f64 * weight as f64 / 114.0;
                assert!((*count as f64 - exact).abs() < 1.0, "{got:?}");
            }
        }
        assert_eq!(allocate(114, &[60, 0, 17, 4, 33]), [60, 0, 17, 4, 33]);
        assert_eq!(allocate(5, &[1, 1, 1]), [2, 2, 1]);
    }

    #[test]
    fn the_chosen_are_as_many_as_wanted_of_each_class_and_no_picture_twice() {
        let labels: Vec<usize> = (0..100).map(|i| if i % 10 == 0 { 1 } else { 0 }).collect();
        let few = choose(&labels, &[7, 3]);
        assert_eq!(counts(&few.iter().map(|at| labels[*at]).collect::<Vec<_>>(), 2), [7, 3]);
        let more = choose(&labels, &[20, 99]);
        assert_eq!((more.len(), &more[..7]), (30, &few[..7]), "ten of the second class is all there is");
        assert_ne!(more[..20], (0..20).collect::<Vec<_>>(), "not merely the first");
        let mut unique = more.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), more.len());
    }
}
