//! How many things no sample has shown yet: Chao2, and Good-Turing for the next sample.
//!
//! A. Chao, "Estimating the population size for capture-recapture data with unequal catchability", Biometrics 43 (1987):
//! the estimator, its variance, and the interval, which is that of a log-normal distribution and never falls below what
//! was observed. R. K. Colwell et al., "Models and estimators linking individual-based and sample-based rarefaction",
//! Journal of Plant Ecology 5 (2012): the cases in which a formula divides by zero. B. Efron and C. Stein, "The jackknife
//! estimate of variance", Annals of Statistics 9 (1981). I. J. Good, "The population frequencies of species", Biometrika
//! 40 (1953): what the next sample brings. E. B. Wilson, "Probable inference, the law of succession, and statistical
//! inference", Journal of the American Statistical Association 22 (1927): how sure that is.
//!
//! Two things make the interval wider here than the papers' own, both because files do not come alone. What one feature
//! needs comes together, so that a single sample more or less can change much: the variance is at least what leaving out
//! one sample after another shows (the jackknife). And where next to nothing was seen but once, up to three such things
//! may have been missed by chance alone (a Poisson variable of mean three is zero in 5 % of all cases): the upper bound
//! is at least what three would make it. `simulation` measures what that is worth.

use serde::Serialize;

/// Fewer samples than this say nothing about what is still to come.
pub const LEAST: usize = 3;

/// Standard deviations on either side of the mean that hold 95 % of a normal distribution.
const Z: f64 = 1.96;
/// So many rare things may be there where none was seen.
const BY_CHANCE: f64 = 3.0;

/// What is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// How many things no sample has shown. Chao2 is a lower bound of its expectation: there are at least about so many.
    pub unseen: f64,
    /// The interval that holds it with 95 % confidence, in whole things: from here...
    pub unseen_lower: f64,
    /// ...to here.
    pub unseen_upper: f64,
    /// How many new things the next sample is expected to show.
    pub new_in_next: f64,
    /// How likely it is that it shows any.
    pub chance_of_new: f64,
    /// The upper bound of that chance, with 95 % confidence.
    pub chance_upper: f64,
}

/// How many things were seen by how many samples, as far as an estimate asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frequencies {
    samples: usize,
    once: f64,
    twice: f64,
    /// What each sample has of that, where it is known.
    shares: Vec<Share>,
}

/// How many things that few samples saw are among those that one sample saw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Share {
    once: f64,
    twice: f64,
    thrice: f64,
}

impl Frequencies {
    /// From the samples that saw each thing, each a number below `samples`.
    pub fn of_places<'a>(things: impl Iterator<Item = &'a [usize]>, samples: usize) -> Self {
        let mut all = Self { samples, shares: vec![Share::default(); samples], ..Self::default() };
        for places in things {
            all.count(places.len());
            for &place in places {
                let Some(share) = all.shares.get_mut(place) else { continue };
                match places.len() {
                    1 => share.once += 1.0,
                    2 => share.twice += 1.0,
                    3 => share.thrice += 1.0,
                    _ => {}
                }
            }
        }
        all
    }

    /// From the number of samples that saw each thing, where it is not known which they were.
    pub fn of_counts(things: impl Iterator<Item = usize>, samples: usize) -> Self {
        let mut all = Self { samples, ..Self::default() };
        things.for_each(|count| all.count(count));
        all
    }

    fn count(&mut self, samples: usize) {
        match samples {
            1 => self.once += 1.0,
            2 => self.twice += 1.0,
            _ => {}
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How many things exactly one sample saw, and exactly two.
    pub fn rare(&self) -> (usize, usize) {
        (self.once as usize, self.twice as usize)
    }

    /// What is still to come; `None` with too few samples. `observed` is how many things there are in all.
    pub fn estimate(&self, observed: usize) -> Option<Estimate> {
        if self.samples < LEAST {
            return None;
        }
        let samples = self.samples as f64;
        let correction = (samples - 1.0) / samples;
        let unseen = unseen(self.once, self.twice, correction);
        let (lower, upper) = if unseen > 0.0 {
            let formula = variance(self.once, self.twice, correction, observed as f64 + unseen);
            around(unseen, formula.max(self.jackknife()))
        } else {
            (0.0, 0.0)
        };
        let by_chance = if self.once < BY_CHANCE { self::unseen(BY_CHANCE, self.twice, 1.0) } else { 0.0 };
        let (chance_of_new, chance_upper) = self.chance();
        Some(Estimate {
            unseen,
            unseen_lower: lower.floor(),
            unseen_upper: upper.max(by_chance).ceil(),
            new_in_next: self.once / samples,
            chance_of_new,
            chance_upper,
        })
    }

    /// How much the estimate of all things varies with the samples: by leaving out one after another.
    pub(super) fn jackknife(&self) -> f64 {
        let others = self.samples as f64 - 1.0;
        let correction = (others - 1.0) / others;
        let without = |share: &Share| {
            let once = self.once - share.once + share.twice;
            unseen(once, self.twice - share.twice + share.thrice, correction) - share.once
        };
        let found: Vec<f64> = self.shares.iter().map(without).collect();
        let mean = found.iter().sum::<f64>() / found.len().max(1) as f64;
        others / (others + 1.0) * found.iter().map(|one| (one - mean).powi(2)).sum::<f64>()
    }

    /// How likely the next sample shows something new, and the upper bound of that: as many samples as showed what no
    /// other did, each of which would have been such a next one. Where it is not known which they were, each thing counts
    /// as one.
    fn chance(&self) -> (f64, f64) {
        let samples = self.samples as f64;
        let telling = if self.shares.is_empty() {
            self.once.min(samples)
        } else {
            self.shares.iter().filter(|share| share.once > 0.0).count() as f64
        };
        let (part, z) = (telling / samples, Z * Z / samples);
        let upper = (part + z / 2.0 + (z * (part * (1.0 - part) + z / 4.0)).sqrt()) / (1.0 + z);
        (part, upper.min(1.0))
    }
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
