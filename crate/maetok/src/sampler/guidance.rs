//! Classifier-free guidance within an interval of time.
//!
//! Source: Ho & Salimans 2022, arXiv 2207.12598; Kynkäänniemi et al. 2024, arXiv 2404.07724 (interval).

/// How strongly and when to follow the class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// 1 is no guidance.
    pub scale: f64,
    /// First time at which it applies, in `[0, 1]`.
    pub low: f64,
    /// Last time at which it applies, in `[0, 1]`.
    pub high: f64,
}

impl Guidance {
    /// The class alone.
    pub const NONE: Self = Self { scale: 1.0, low: 0.0, high: 1.0 };

    /// Whether both classes are evaluated at time `t`.
    pub fn applies(&self, t: f64) -> bool {
        self.scale > 1.0 && self.low <= t && t <= self.high
    }

    /// `v_null + scale (v_class - v_null)`.
    pub fn combine(&self, class: f64, null: f64) -> f64 {
        null + self.scale * (class - null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_one_never_asks_the_null_class() {
        assert!(!Guidance::NONE.applies(0.5));
        assert_eq!(Guidance::NONE.combine(3.0, -7.0), 3.0);
    }

    #[test]
    fn the_interval_includes_its_ends() {
        let guidance = Guidance { scale: 2.0, low: 0.15, high: 0.75 };
        assert!(guidance.applies(0.15) && guidance.applies(0.75));
        assert!(!guidance.applies(0.149) && !guidance.applies(0.751));
    }
}
