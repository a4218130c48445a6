//! Numbers whose memory is used again.
//!
//! Each step of a training asks for the same memory as the step before. What the system gives out anew, it fills with
//! zeros first, page by page, on the thread that touches it, while the other threads wait. So as long as somebody is a
//! [`Keeper`], what is dropped is kept for whoever asks next.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

/// Fewer numbers are left to the allocator.
const LEAST: usize = 1 << 14;

/// Numbers that a thread sets to zero at a time.
const PART: usize = 1 << 16;

/// What was dropped, by length.
struct Spare {
    keepers: usize,
    round: u64,
    /// With the round in which each was dropped.
    kept: BTreeMap<usize, Vec<(u64, Vec<f32>)>>,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare { keepers: 0, round: 0, kept: BTreeMap::new() });

fn spare() -> MutexGuard<'static, Spare> {
    // It is whole between any two of its changes.
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While there is one, dropped numbers are kept.
pub(crate) struct Keeper(());

impl Keeper {
    pub(crate) fn new() -> Self {
        spare().keepers += 1;
        Self(())
    }

    /// Ends a round, such as a step: what nobody wanted in it goes back to the system.
    pub(crate) fn end_round(&self) {
        let mut spare = spare();
        let round = spare.round;
        spare.kept.retain(|_, kept| {
            kept.retain(|(dropped, _)| *dropped == round);
            !kept.is_empty()
        });
        spare.round += 1;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut spare = spare();
        spare.keepers -= 1;
        if spare.keepers == 0 {
            spare.kept.clear();
        }
    }
}

/// A row of numbers.
#[derive(Default)]
pub(crate) struct Numbers {
    /// At least as many.
    all: Vec<f32>,
    len: usize,
}

impl Numbers {
    /// So many, of no meaning: all are to be written before one is read.
    pub(crate) fn unset(len: usize) -> Self {
        let all = Self::found(len).unwrap_or_else(|| vec![0.0; len]);
        let mut made = Self { all, len };
        if cfg!(debug_assertions) {
            // Whoever reads them finds out.
            made.fill(f32::NAN);
        }
        made
    }

    /// So many zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let Some(all) = Self::found(len) else { return Self { all: vec![0.0; len], len } };
        let mut made = Self { all, len };
        made.par_chunks_mut(PART).for_each(|part| part.fill(0.0));
        made
    }

    /// Memory that was dropped, where some is long enough and not much too long. Where none is, as much that is too short
    /// goes back to the system as is now asked of it: else passes that grow from one to the next would be held all at once.
    fn found(len: usize) -> Option<Vec<f32>> {
        if len < LEAST {
            return None;
        }
        let mut spare = spare();
        if let Some((_, kept)) = spare.kept.range_mut(len..=len + len / 2).find(|(_, kept)| !kept.is_empty())
        {
            return kept.pop().map(|(_, all)| all);
        }
        let (mut too_short, mut left) = (Vec::new(), len);
        while left > 0
            && let Some((size, kept)) = spare.kept.range_mut(..len).rev().find(|(_, kept)| !kept.is_empty())
        {
            left = left.saturating_sub(*size);
            too_short.extend(kept.pop());
        }
        // The system takes its time, and others ask meanwhile.
        std::mem::drop(spare);
        None
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        if self.all.len() < LEAST {
            return;
        }
        let mut spare = spare();
        if spare.keepers > 0 {
            let (round, all) = (spare.round, std::mem::take(&mut self.all));
            spare.kept.entry(all.len()).or_default().push((round, all));
        }
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.all[..self.len]
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.all[..self.len]
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        self.deref() == other.deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests of the process may keep numbers meanwhile; none has as many.
    #[test]
    fn dropped_numbers_are_kept_for_a_round() {
        const LEN: usize = 3_000_017;
        let count = || spare().kept.range(LEN..LEN + 10).flat_map(|(_, kept)| kept).count();
        let keeper = Keeper::new();
        let mut some = Numbers::zeros(LEN);
        some.fill(3.0);
        drop(some);
        assert_eq!(count(), 1);
        // Shorter ones fit, far shorter ones don't, and zeros are zeros.
        drop(Numbers::unset(LEN / 2));
        assert_eq!(count(), 1);
        let again = Numbers::zeros(LEN - 5);
        assert!(count() == 0 && again.len() == LEN - 5 && again.iter().all(|number| *number == 0.0));
        drop(again);
        keeper.end_round();
        assert_eq!(count(), 1, "it was used in the round that has ended");
        keeper.end_round();
        assert_eq!(count(), 0, "it was not used in the round after");
        drop([Numbers::unset(LEN), Numbers::unset(LEN + 1)]);
        assert_eq!(count(), 2);
        drop(Numbers::unset(2 * LEN));
        assert_eq!(count(), 0, "what is too short makes room for what is longer");
    }
}
