//! A figure's rounds.

/// The results of one measurement's rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The one in the middle, or the mean of the two there.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// The smallest and the largest.
    pub(crate) fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let edge = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        (edge(sorted.first()), edge(sorted.last()))
    }

    /// Round by round, this ÷ the other.
    pub(crate) fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(this, other)| this / other).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl From<f64> for Rounds {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}
