//! Which rows of a task are shown to a model, and which it is judged by.

use std::collections::HashSet;

use super::{Task, given};
use crate::rng::seed_of;
use crate::unify::Instance;

/// The most rows of a pool, as in the published data (spec/uit.md 2.4).
pub const POOL: usize = 16;
/// How many rows of the pool are shown, in a prompt and as examples before a row that is scored.
pub const SHOWN: usize = 2;
/// The most rows that candidates are judged by (spec/uit.md 3.5).
pub const SCORED: usize = 32;

/// A task's rows, drawn apart: no row is shown that is scored. They are a function of seed and task alone, so every
/// candidate has the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn<'a> {
    /// Rows that may be shown: at most [`POOL`] and a quarter of all, but two if there are three or more.
    pub pool: Vec<&'a Instance>,
    /// Rows that candidates are judged by, at most [`SCORED`]. Their inputs stand nowhere in the pool.
    pub scored: Vec<&'a Instance>,
}

impl<'a> Drawn<'a> {
    /// The rows of a task under a seed. Rows without an answer are left out.
    pub fn of(task: &'a Task, seed: u64) -> Self {
        let key = |row: usize| seed_of(seed, &["transfer", task.name(), &row.to_string()]);
        let mut rows: Vec<usize> =
            (0..task.rows.len()).filter(|row| !task.rows[*row].output.trim().is_empty()).collect();
        rows.sort_by_cached_key(|row| key(*row));
        let size = match rows.len() {
            0 => 0,
            1 | 2 => 1,
            all => (all / 4).clamp(SHOWN, POOL),
        };
        let pool: Vec<&Instance> = rows[..size].iter().map(|row| &task.rows[*row]).collect();
        let shown: HashSet<String> = pool.iter().map(|row| given(row)).collect();
        let rest = rows[size..].iter().map(|row| &task.rows[*row]);
        let scored = rest.filter(|row| !shown.contains(&given(row))).take(SCORED).collect();
        Self { pool, scored }
    }

    /// The rows of the pool that are shown.
    pub fn shown(&self) -> &[&'a Instance] {
        &self.pool[..self.pool.len().min(SHOWN)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unify::{Field, Instruction, Level};

    fn task(rows: usize) -> Task {
        let row = |row: usize| Instance {
            fields: vec![Field { name: String::new(), value: format!("in {}", row % 90) }],
            output: row.to_string(),
            references: vec![],
        };
        Task {
            source: Instruction::new("kettles", Level::Instance),
            to: Level::Task,
            rows: (0..rows).map(row).collect(),
        }
    }

    #[test]
    fn what_is_shown_is_not_scored_and_nothing_depends_on_the_candidate() {
        let task = task(200);
        let drawn = Drawn::of(&task, 7);
        assert_eq!((drawn.pool.len(), drawn.scored.len(), drawn.shown().len()), (POOL, SCORED, SHOWN));
        // Rows repeat their inputs here, and none of a shown one is scored.
        assert!(drawn.scored.iter().all(|row| drawn.pool.iter().all(|shown| shown.fields != row.fields)));
        assert_eq!(drawn, Drawn::of(&task, 7));
        assert_ne!(drawn, Drawn::of(&task, 8));
    }

    #[test]
    fn few_rows_are_parted_too() {
        let parted = |rows: usize| {
            let task = task(rows);
            let drawn = Drawn::of(&task, 0);
            (drawn.pool.len(), drawn.scored.len())
        };
        assert_eq!([0, 1, 2, 3, 8, 40].map(parted), [(0, 0), (1, 0), (1, 1), (2, 1), (2, 6), (10, 30)]);
        let mut unanswered = task(4);
        unanswered.rows[2].output = " ".into();
        let drawn = Drawn::of(&unanswered, 0);
        assert_eq!(drawn.pool.len() + drawn.scored.len(), 3);
    }
}
