//! Distances of many rows to many rows, a block at a time, exact where it matters.
//!
//! `|a - b|² = |a|² + |b|² - 2 a·b` turns the work into matrix products for a device, but in f32 it cancels: a copy
//! comes out a little away from its original. So the products only choose who is near; what is compared or returned is
//! the distance computed from the differences, in f64. Never more than [`BLOCK`] distances exist at a time.

use burn::tensor::{Device, Tensor, TensorData};

/// Distances held at a time.
const BLOCK: usize = 1 << 22;

/// A row of a set and its Euclidean distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Index of the row.
    pub index: usize,
    /// Distance in the unit of the rows.
    pub distance: f64,
}

/// Rows `[m, width]` that distances are measured to.
pub(super) struct Rows<'a> {
    values: &'a [f32],
    width: usize,
    /// What is subtracted before the product: large means are what cancels worst.
    centre: Vec<f32>,
    /// Centred and transposed, `[width, m]`.
    columns: Tensor<2>,
    squares: Vec<f32>,
}

impl<'a> Rows<'a> {
    /// # Panics
    /// If `values` is empty or not a whole number of rows.
    pub fn new(values: &'a [f32], width: usize, device: &Device) -> Self {
        assert!(width > 0 && !values.is_empty() && values.len().is_multiple_of(width), "rows of {width} numbers");
        let count = values.len() / width;
        let mut sums = vec![0.0f64; width];
        for row in values.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let centre: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        let centred = centred(values, &centre);
        let squares = squares(&centred, width);
        let columns = Tensor::<2>::from_data(TensorData::new(centred, [count, width]), device).transpose();
        Self { values, width, centre, columns, squares }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.squares.len()
    }

    /// Row `index`.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Shows every query, in order, with its distances to all rows.
    ///
    /// # Panics
    /// If `queries` is not a whole number of rows of the same width.
    pub fn each(&self, queries: &[f32], mut see: impl FnMut(usize, &Distances<'_>)) {
        assert!(queries.len().is_multiple_of(self.width), "rows of {} numbers", self.width);
        let block = (BLOCK / self.count()).max(1);
        for (at, rows) in queries.chunks(block * self.width).enumerate() {
            let count = rows.len() / self.width;
            let moved = centred(rows, &self.centre);
            let own = squares(&moved, self.width);
            let moved = Tensor::<2>::from_data(TensorData::new(moved, [count, self.width]), &self.columns.device());
            let products: Vec<f32> = moved.matmul(self.columns.clone()).into_data().try_to_vec().expect("f32");
            for (i, products) in products.chunks_exact(self.count()).enumerate() {
                let query = &rows[i * self.width..(i + 1) * self.width];
                see(at * block + i, &Distances { to: self, query, square: own[i], products });
            }
        }
    }

    /// The `k` nearest rows of every query, nearest first, equal ones in order of their index. With `skip_self`, query
    /// `i` is row `i`, which does not count as its own neighbour.
    ///
    /// # Panics
    /// If there are fewer than `k` rows to choose from.
    pub fn nearest(&self, queries: &[f32], k: usize, skip_self: bool) -> Vec<Vec<Neighbour>> {
        let others = self.count() - usize::from(skip_self);
        assert!((1..=others).contains(&k), "{k} neighbours among {others} rows");
        let mut all = Vec::with_capacity(queries.len() / self.width);
        let mut order: Vec<(f32, usize)> = Vec::with_capacity(self.count());
        self.each(queries, |query, distances| {
            order.clear();
            let allowed = (0..self.count()).filter(|index| !skip_self || *index != query);
            // By the largest that the square can be: k rows are certainly no farther than the k-th of these.
            order.extend(allowed.map(|index| (distances.approximate(index) + distances.error(index), index)));
            let (_, farthest, _) = order.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0));
            let farthest = farthest.0;
            let mut near: Vec<Neighbour> = order
                .iter()
                .filter(|(most, index)| most - 2.0 * distances.error(*index) <= farthest)
                .map(|(_, index)| Neighbour { index: *index, distance: distances.exact(*index) })
                .collect();
            near.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
            near.truncate(k);
            all.push(near);
        });
        all
    }
}

/// The distances of one query.
pub(super) struct Distances<'a> {
    to: &'a Rows<'a>,
    query: &'a [f32],
    square: f32,
    products: &'a [f32],
}

impl Distances<'_> {
    /// Square of the distance to row `index`, off by at most [`error`](Self::error).
    pub fn approximate(&self, index: usize) -> f32 {
        self.square + self.to.squares[index] - 2.0 * self.products[index]
    }

    /// Bound of what rounding does to a sum of `width` products, twice over.
    pub fn error(&self, index: usize) -> f32 {
        (self.to.width + 8) as f32 * f32::EPSILON * (self.square + self.to.squares[index])
    }

    /// Distance to row `index`.
    pub fn exact(&self, index: usize) -> f64 {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        self.query.iter().zip(self.to.row(index)).map(square).sum::<f64>().sqrt()
    }

    /// Whether row `index` is no farther than `radius`.
    pub fn within(&self, index: usize, radius: f64) -> bool {
        let (approximate, error) = (f64::from(self.approximate(index)), f64::from(self.error(index)));
        let square = radius * radius;
        if approximate + error < square {
            return true;
        }
        approximate - error <= square && self.exact(index) <= radius
    }
}

fn centred(rows: &[f32], centre: &[f32]) -> Vec<f32> {
    rows.chunks_exact(centre.len()).flat_map(|row| row.iter().zip(centre).map(|(v, c)| v - c)).collect()
}

fn squares(rows: &[f32], width: usize) -> Vec<f32> {
    let square = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() as f32;
    rows.chunks_exact(width).map(square).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn neighbours_are_those_of_a_plain_search_even_far_from_the_origin_and_among_copies() {
        let (width, count) = (7, 200);
        let mut values: Vec<f32> = Rng::new(1, 0).normals(count * width).iter().map(|v| (1000.0 + v) as f32).collect();
        values.copy_within(0..3 * width, 50 * width); // rows 50, 51, 52 are copies of 0, 1, 2
        let found = Rows::new(&values, width, &Device::flex()).nearest(&values, 4, false);
        for (query, found) in found.iter().enumerate() {
            let row = |i: usize| &values[i * width..(i + 1) * width];
            let distance = |i: usize| {
                let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                row(query).iter().zip(row(i)).map(square).sum::<f64>().sqrt()
            };
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)).then(a.cmp(b)));
            let got: Vec<usize> = found.iter().map(|n| n.index).collect();
            assert_eq!(got, order[..4], "query {query}");
        }
        assert_eq!((found[51][0], found[51][1].distance), (Neighbour { index: 1, distance: 0.0 }, 0.0));
    }

    #[test]
    fn a_row_is_not_its_own_neighbour_but_its_copy_is() {
        let values = [0.0, 0.0, 5.0, 0.0, 0.0, 0.0];
        let found = Rows::new(&values, 2, &Device::flex()).nearest(&values, 1, true);
        let got: Vec<(usize, f64)> = found.iter().map(|n| (n[0].index, n[0].distance)).collect();
        assert_eq!(got, [(2, 0.0), (0, 5.0), (0, 0.0)]);
    }

    #[test]
    fn more_queries_than_a_block_holds_keep_their_order() {
        // 3,000 rows leave room for 1,398 queries in a block.
        let values: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        let found = Rows::new(&values, 1, &Device::flex()).nearest(&values, 1, false);
        assert!(found.iter().enumerate().all(|(i, n)| n[0] == Neighbour { index: i, distance: 0.0 }));
    }
}
