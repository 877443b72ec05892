//! Random numbers that are the same on every platform: Philox4x32-10, a counter put through a keyed permutation.
//!
//! Integers only up to the last step; normals by Box–Muller in f64 with the software functions of `libm`, whose
//! results do not depend on the system's mathematics library. So a seed gives the same picture everywhere.
//!
//! Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3; the known answers in the tests
//! are Random123's.

/// Weyl constants by which the key moves from round to round.
const KEY_STEP: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Multipliers of the round function.
const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const ROUNDS: usize = 10;

/// One block of Philox4x32-10.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let low = u64::from(MULTIPLIER[0]) * u64::from(counter[0]);
        let high = u64::from(MULTIPLIER[1]) * u64::from(counter[2]);
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
        key = [key[0].wrapping_add(KEY_STEP[0]), key[1].wrapping_add(KEY_STEP[1])];
    }
    counter
}

/// A stream of random numbers. Equal `(seed, stream)` give equal numbers on every platform; different streams of one
/// seed are independent.
#[derive(Clone, Debug)]
pub struct Rng {
    key: [u32; 2],
    stream: [u32; 2],
    /// Number of the next block.
    block: u64,
    words: [u32; 4],
    /// Words of `words` already handed out.
    used: usize,
    /// The second normal of the last Box–Muller pair.
    spare: Option<f64>,
}

impl Rng {
    /// The numbers of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            stream: [stream as u32, (stream >> 32) as u32],
            block: 0,
            words: [0; 4],
            used: 4,
            spare: None,
        }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let [low, high] = self.stream;
            self.words = philox([self.block as u32, (self.block >> 32) as u32, low, high], self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        word
    }

    /// 64 random bits, the first word low.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        u64::from(self.next_u32()) << 32 | low
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform())); // 1 - u lies in (0, 1]
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }

    /// `n` standard normals.
    pub fn normals(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.normal()).collect()
    }

    /// Uniform in `0..n`, without bias.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "there is no number below 0");
        let n = n as u64;
        // Draws in the incomplete last run of 0..n are thrown away.
        let limit = u64::MAX - (u64::MAX % n + 1) % n;
        loop {
            let draw = self.next_u64();
            if draw <= limit {
                return (draw % n) as usize;
            }
        }
    }

    /// `0..n` in uniformly random order (Fisher–Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, want) in cases {
            assert_eq!(philox(counter, key), want, "counter {counter:08x?} key {key:08x?}");
        }
    }

    #[test]
    fn normals_of_seed_and_stream_never_change() {
        // Computed apart from this code, with the platform's own logarithm, sine and cosine, which agree here to the
        // last bit. A change changes every picture of every seed.
        let golden: [(u64, u64, [u64; 4]); 2] = [
            (0, 0, [0xbff9_ffd9_aa3b_c9b7, 0xbff4_4b28_888d_8c94, 0x3fed_85c9_66f9_a5f4, 0x3fcc_085b_be7c_c121]),
            (207, 1, [0x3fe0_0698_941d_78ca, 0x3fdc_99c2_b799_848c, 0xbff5_fb19_4d58_a5d7, 0x4002_b2e4_89c0_26d0]),
        ];
        for (seed, stream, bits) in golden {
            let got: Vec<u64> = Rng::new(seed, stream).normals(4).iter().map(|v| v.to_bits()).collect();
            assert_eq!(got, bits, "seed {seed} stream {stream}: {got:#018x?}");
        }
    }

    #[test]
    fn the_first_uniforms_follow_from_the_known_words() {
        // Words 6627e8d5 (low) and e169c58d (high) of block 0 under key 0.
        let bits = 0xe169_c58d_6627_e8d5_u64;
        assert_eq!(Rng::new(0, 0).uniform(), (bits >> 11) as f64 / (1u64 << 53) as f64);
    }

    #[test]
    fn normals_have_mean_0_variance_1_and_the_tails_of_a_normal() {
        let draws = Rng::new(5, 9).normals(200_000);
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|v| v * v).sum::<f64>() / n;
        let outside_2 = draws.iter().filter(|v| v.abs() > 2.0).count() as f64 / n;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.015, "{variance}");
        assert!((outside_2 - 0.0455).abs() < 0.002, "{outside_2}");
        assert!(draws.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn streams_and_seeds_differ_and_repeat() {
        let take = |seed, stream| -> Vec<u32> {
            let mut rng = Rng::new(seed, stream);
            (0..16).map(|_| rng.next_u32()).collect()
        };
        assert_eq!(take(1, 2), take(1, 2));
        assert_ne!(take(1, 2), take(1, 3));
        assert_ne!(take(1, 2), take(2, 2));
        assert_ne!(take(1 << 40, 0), take(0, 0));
    }

    #[test]
    fn below_covers_its_range_evenly_and_permutations_are_permutations() {
        let mut rng = Rng::new(3, 0);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[rng.below(7)] += 1;
        }
        assert!(counts.iter().all(|c| c.abs_diff(10_000) < 500), "{counts:?}");
        for n in [0, 1, 2, 33] {
            let mut order = rng.permutation(n);
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }
}
