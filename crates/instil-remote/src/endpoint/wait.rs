//! Waiting between attempts, and being woken when nobody wants the answer any more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The longest wait that is chosen here; a server may ask for more.
const LONGEST: Duration = Duration::from_secs(60);

/// A flag that wakes those who wait.
#[derive(Default)]
pub(crate) struct Cancel {
    flag: Mutex<bool>,
    raised: Condvar,
}

impl Cancel {
    /// Raises the flag for good.
    pub(crate) fn raise(&self) {
        *self.lock() = true;
        self.raised.notify_all();
    }

    /// Whether it is raised.
    pub(crate) fn is_raised(&self) -> bool {
        *self.lock()
    }

    /// Waits this long, or until the flag is raised.
    pub(crate) fn wait(&self, long: Duration) {
        let waited = self.raised.wait_timeout_while(self.lock(), long, |raised| !*raised);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.flag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waits after failed attempts, of which there are `attempts` at most: each up to twice as long
/// as the one before, a minute at most, and of that a share between nothing and all ("full jitter"),
/// so that calls that failed together don't come back together.
///
/// The share is drawn from `seed`, since chance in instil is by counting.
pub(crate) fn waits(first: Duration, attempts: u32, seed: u64) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(first.min(LONGEST))
        .with_factor(2.0)
        .with_max_delay(LONGEST)
        .with_max_times(attempts.saturating_sub(1) as usize)
        .build()
        .enumerate()
        .map(move |(attempt, longest)| {
            let drawn = instil::rng::seed_of(seed, &["wait", &attempt.to_string()]);
            longest.mul_f64(drawn as f64 / u64::MAX as f64)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_are_spread() {
        let many: Vec<Vec<Duration>> =
            (0..200).map(|seed| waits(Duration::from_secs(1), 9, seed).collect()).collect();
        assert!(many.iter().all(|waits| waits.len() == 8));
        for (attempt, longest) in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0].into_iter().enumerate() {
            let drawn = many.iter().map(|waits| waits[attempt].as_secs_f64());
            let (low, high) =
                drawn.fold((f64::MAX, 0.0_f64), |(low, high), wait| (low.min(wait), high.max(wait)));
            assert!(
                low < 0.1 * longest && high > 0.9 * longest && high <= longest,
                "{attempt}: {low} to {high}"
            );
        }
        assert_eq!(waits(Duration::from_secs(1), 1, 0).count(), 0);
        assert_eq!(waits(Duration::from_secs(1), 0, 0).count(), 0);
    }
}
