//! The flags that say how samples are drawn, for the commands that draw some.

use clap::Args;
use maetok::Error;
use maetok::pipeline::SampleRequest;
use maetok::sampler::SamplerKind;

use crate::settings::number;

/// Seed, steps and integrator.
#[derive(Args)]
pub struct Sampling {
    /// The same seed gives the same picture on every machine; of several pictures it is the first one's, and the others
    /// count up from it; from 0 to 18446744073709551615.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true,
        value_parser = number::<u64>("seed", "a number from 0 to 18446744073709551615"))]
    pub seed: u64,
    /// Steps from noise to picture, 1 to 1000.
    #[arg(long, default_value_t = 25, allow_negative_numbers = true,
        value_parser = number::<usize>("steps", "a number from 1 to 1000"))]
    pub steps: usize,
    /// Integrator: euler, heun or sde.
    #[arg(long, default_value = "euler")]
    sampler: String,
}

impl Sampling {
    /// A request of `class`, with guidance of this scale between these times.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown integrator.
    pub fn request(&self, class: usize, guidance: f64, interval: [f64; 2]) -> Result<SampleRequest, Error> {
        let sampler = self.sampler.parse::<SamplerKind>()?;
        let (seed, steps) = (self.seed, self.steps);
        Ok(SampleRequest {
            class,
            seed,
            steps,
            guidance,
            interval: interval.into(),
            sampler,
            ..SampleRequest::default()
        })
    }
}
