//! What a forward pass spends time in, on the CPU: loops over plain numbers, vectorised for the machine at hand, in the
//! browser too.
//!
//! A tensor library does each operation by itself: a layer with its bias, activation, gate and residual reads and writes
//! every number a dozen times, and asks the C library for each exponential. Here a row is finished while it is in the
//! cache.
//!
//! | step | what it does |
//! | --- | --- |
//! | [`linear()`] | a linear layer, then activation, gate and residual |
//! | [`norm()`] | layer norm or RMS norm, then scale and shift |
//! | [`attention()`] | norms of queries and keys, rotary positions, softmax attention of all heads |
//!
//! All matrices are row-major. `product` multiplies, `functions` has what is done number by number, `threads`
//! shares rows among threads. Instructions are chosen by `pulp` when the program runs; in the browser they are SIMD128.
//!
//! A package of its own, without Burn: what the browser downloads is compiled for size, and this for speed.

mod attention;
mod functions;
mod linear;
mod norm;
mod panels;
mod product;
#[cfg(test)]
mod testing;
mod threads;

pub use attention::{Heads, Norms, Turns, attention};
pub use functions::Activation;
pub use linear::{Gates, Linear, Weight, linear};
pub use norm::{Modulation, Norm, norm};
pub use panels::Panels;
