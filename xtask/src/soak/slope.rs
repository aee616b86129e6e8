//! A straight line through points.

/// How fast something grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// In its unit, in a unit of time.
    pub per_time: f64,
    /// Half of the interval that has the true value with 95 %, if points differ from the line independently.
    pub margin: f64,
}

/// Least squares through the means of so many groups of points that follow each other: neighbours are not independent of
/// each other, such means nearly are. `None` where there are too few points.
pub fn slope(points: &[(f64, f64)], groups: usize) -> Option<Slope> {
    let size = points.len().div_ceil(groups).max(1);
    let means: Vec<(f64, f64)> = points.chunks(size).map(mean).collect();
    let count = means.len() as f64;
    if means.len() < 4 {
        return None;
    }
    let middle = mean(&means);
    let width: f64 = means.iter().map(|(at, _)| (at - middle.0).powi(2)).sum();
    let per_time = means.iter().map(|(at, value)| (at - middle.0) * (value - middle.1)).sum::<f64>() / width;
    let off = |(at, value): &(f64, f64)| (value - middle.1 - per_time * (at - middle.0)).powi(2);
    let variance = means.iter().map(off).sum::<f64>() / (count - 2.0);
    Some(Slope { per_time, margin: student(means.len() - 2) * (variance / width).sqrt() })
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (sum.0 / count, sum.1 / count)
}

/// The 97.5 % quantile of Student's distribution with so many degrees of freedom, within 2 % from 3 on.
fn student(freedom: usize) -> f64 {
    let n = freedom as f64;
    if freedom == 2 { 4.303 } else { 1.96 + 2.4 / n + 3.6 / (n * n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_noise_gives_a_margin_around_it() {
        let line: Vec<(f64, f64)> = (0..60).map(|n| (f64::from(n), 5.0 + 2.0 * f64::from(n))).collect();
        let found = slope(&line, 12).unwrap();
        assert!((found.per_time - 2.0).abs() < 1e-9 && found.margin < 1e-6, "{found:?}");
        let noisy: Vec<_> = line.iter().map(|(at, value)| (*at, value + (at * 7.0).sin() * 9.0)).collect();
        let found = slope(&noisy, 12).unwrap();
        assert!(found.margin > 0.0 && (found.per_time - 2.0).abs() < found.margin, "{found:?}");
        assert_eq!(slope(&line[..3], 12), None);
    }

    #[test]
    fn few_points_give_a_wide_margin() {
        for (freedom, known) in [(2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042)] {
            assert!((student(freedom) / known - 1.0).abs() < 0.03, "{freedom}: {}", student(freedom));
        }
    }
}
