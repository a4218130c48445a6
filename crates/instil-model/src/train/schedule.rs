//! The learning rate of each step (transformers' `get_scheduler`).

/// How the learning rate falls after its warm-up, in which it rises evenly from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Not.
    Constant,
    /// Evenly to 0.
    Linear,
    /// By half a cosine to 0.
    Cosine,
}

/// How long the warm-up is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// So many steps.
    Steps(usize),
    /// This share of all steps, rounded up.
    Ratio(f64),
}

impl Warmup {
    /// In steps, of `total`.
    pub(super) fn steps(self, total: usize) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Ratio(ratio) => (total as f64 * ratio).ceil() as usize,
        }
    }
}

impl Schedule {
    /// What the learning rate of step `step`, counted from 0, is multiplied with.
    pub fn factor(self, step: usize, warmup: usize, total: usize) -> f64 {
        if step < warmup {
            return step as f64 / warmup as f64;
        }
        let left = total.saturating_sub(step) as f64 / total.saturating_sub(warmup).max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Linear => left,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * (1.0 - left)).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_transformers() {
        // transformers 5.23, get_scheduler(name, optimizer, 3, 10) with a learning rate of 1, get_last_lr() of every step.
        let linear = [0.0, 1. / 3., 2. / 3., 1.0, 6. / 7., 5. / 7., 4. / 7., 3. / 7., 2. / 7., 1. / 7.];
        let cosine = [
            0.0,
            0.333_333_333,
            0.666_666_666,
            1.0,
            0.950_484_433,
            0.811_744_900,
            0.611_260_466,
            0.388_739_533,
            0.188_255_099,
            0.049_515_566,
        ];
        for step in 0..10 {
            assert!((Schedule::Linear.factor(step, 3, 10) - linear[step]).abs() < 1e-8);
            assert!((Schedule::Cosine.factor(step, 3, 10) - cosine[step]).abs() < 1e-8, "{step}");
            assert_eq!(Schedule::Constant.factor(step, 0, 10), 1.0);
        }
        assert_eq!(Schedule::Linear.factor(0, 0, 10), 1.0);
        assert_eq!(Warmup::Ratio(0.03).steps(101), 4);
    }
}
