//! How many things no sample has shown yet: Chao2, and Good-Turing for the next sample.
//!
//! A. Chao, "Estimating the population size for capture-recapture data with unequal catchability", Biometrics 43 (1987):
//! the estimator, its variance, and the interval, which is that of a log-normal distribution and never falls below what
//! was observed. R. K. Colwell et al., "Models and estimators linking individual-based and sample-based rarefaction",
//! Journal of Plant Ecology 5 (2012): the cases in which a formula divides by zero. I. J. Good, "The population
//! frequencies of species", Biometrika 40 (1953): what the next sample brings.

use serde::Serialize;

/// Fewer samples than this say nothing about what is still to come.
pub const LEAST: usize = 3;

/// Standard deviations on either side of the mean that hold 95 % of a normal distribution.
const Z: f64 = 1.96;

/// What is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// How many things no sample has shown. Chao2 is a lower bound of its expectation: there are at least about so many.
    pub unseen: f64,
    /// The interval that holds it with 95 % confidence: from here...
    pub unseen_lower: f64,
    /// ...to here.
    pub unseen_upper: f64,
    /// How many new things the next sample is expected to show.
    pub new_in_next: f64,
    /// How likely it is that it shows any.
    pub chance_of_new: f64,
}

/// The estimate from `counts`, for each thing seen the number of samples that saw it, of `samples` in all.
pub fn estimate(counts: &[usize], samples: usize) -> Option<Estimate> {
    if samples < LEAST || counts.is_empty() {
        return None;
    }
    let with = |count: usize| counts.iter().filter(|&&seen| seen == count).count() as f64;
    let (once, twice) = (with(1), with(2));
    let correction = (samples - 1) as f64 / samples as f64;
    let unseen = unseen(once, twice, correction);
    let (unseen_lower, unseen_upper) = if unseen > 0.0 {
        let variance = variance(once, twice, correction, counts.len() as f64 + unseen);
        around(unseen, variance)
    } else {
        (0.0, of_the_complete(counts))
    };
    let new_in_next = once / samples as f64;
    // As many new things as expected, if each comes by itself: a Poisson distribution.
    Some(Estimate {
        unseen,
        unseen_lower,
        unseen_upper,
        new_in_next,
        chance_of_new: 1.0 - (-new_in_next).exp(),
    })
}

/// Chao2; without anything that two samples saw, its bias-corrected form.
fn unseen(once: f64, twice: f64, correction: f64) -> f64 {
    if once == 0.0 {
        0.0
    } else if twice > 0.0 {
        correction * once * once / (2.0 * twice)
    } else {
        correction * once * (once - 1.0) / 2.0
    }
}

fn variance(once: f64, twice: f64, correction: f64, all: f64) -> f64 {
    let (first, second) = (correction, correction * correction);
    if twice > 0.0 {
        let ratio = once / twice;
        twice * (first / 2.0 * ratio.powi(2) + second * ratio.powi(3) + second / 4.0 * ratio.powi(4))
    } else {
        first * once * (once - 1.0) / 2.0 + second * once * (2.0 * once - 1.0).powi(2) / 4.0
            - second * once.powi(4) / (4.0 * all)
    }
}

/// The interval around a number of unseen things above zero.
fn around(unseen: f64, variance: f64) -> (f64, f64) {
    let spread = (Z * (1.0 + variance.max(0.0) / (unseen * unseen)).ln().sqrt()).exp();
    (unseen / spread, unseen * spread)
}

/// The upper bound when nothing is estimated to be unseen: by how often things are seen on average, a thing escapes all
/// samples with probability e^-mean.
fn of_the_complete(counts: &[usize]) -> f64 {
    let observed = counts.len() as f64;
    let mean = counts.iter().sum::<usize>() as f64 / observed;
    let escapes = (-mean).exp();
    let all = observed / (1.0 - escapes) + Z * (observed * escapes).sqrt() / (1.0 - escapes);
    all - observed
}
