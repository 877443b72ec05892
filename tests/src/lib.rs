//! What every test of the project shares: the reference numbers, tolerances with their causes, comparison with a
//! report, the devices to run on, and the weights that are computed from a hash instead of stored.
//!
//! Depends on Burn and safetensors only, so that `maetok` itself can use it in its unit tests.

mod compare;
mod devices;
mod fixture;
mod hash;

pub use compare::{Tolerance, Values, assert_close, report_path};
pub use devices::{TestDevice, cpu, devices, say};
pub use fixture::{Fixture, fixtures, manifest, reference};
pub use hash::{HashScales, Key, hash_uniform, keys};
