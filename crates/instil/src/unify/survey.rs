//! What is seen of each task before any row is written: how many rows there are, which outputs, and a sample.
//!
//! The sample is the rows with the smallest random numbers, so that it is the same in whatever order and on however
//! many threads rows are seen, and two of them add up to that of all rows.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Content;

/// The sample's rows of all tasks together, near enough …
const ALL: usize = 4096;
/// … of one task at the most and at the least.
const MOST: usize = 128;
const LEAST: usize = 16;
/// More outputs than so many are no list of labels.
const LABELS: usize = 24;
/// An output longer than so many bytes is none.
const LABEL_BYTES: usize = 80;

/// What was seen of one task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Its rows.
    pub(crate) rows: u64,
    /// Some of them, by their random numbers.
    pub(crate) sample: BTreeMap<u64, Content<'static>>,
    /// Its outputs, as long as they are few.
    pub(crate) outputs: Outputs,
}

/// The different outputs of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outputs {
    /// All of them.
    Few(BTreeSet<String>),
    /// More than are counted.
    Many,
}

impl Default for Outputs {
    fn default() -> Self {
        Self::Few(BTreeSet::new())
    }
}

impl Outputs {
    fn add(&mut self, output: &str) {
        let Self::Few(few) = self else { return };
        if few.contains(output) {
            return;
        }
        if few.len() == LABELS || output.len() > LABEL_BYTES {
            *self = Self::Many;
        } else {
            few.insert(output.to_owned());
        }
    }
}

/// Tasks by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// What was seen of each.
    pub(crate) tasks: BTreeMap<String, Seen>,
}

impl Survey {
    /// How many rows of each task are kept, where there are so many tasks.
    fn most(tasks: usize) -> usize {
        (ALL / tasks.max(1)).clamp(LEAST, MOST)
    }

    /// Sees a row, whose random number is `number`.
    pub(crate) fn see(&mut self, task: &str, number: u64, content: &Content<'_>) {
        if !self.tasks.contains_key(task) {
            self.tasks.insert(task.to_owned(), Seen::default());
            // Now and then what is too much goes, and always before it doubles.
            if self.tasks.len().is_power_of_two() {
                self.shrink();
            }
        }
        let most = Self::most(self.tasks.len());
        let seen = self.tasks.get_mut(task).expect("it was put there above");
        seen.rows += 1;
        seen.outputs.add(&content.output);
        if seen.sample.len() < most || seen.sample.last_key_value().is_some_and(|(last, _)| number < *last) {
            seen.sample.insert(number, content.to_static());
            if seen.sample.len() > most {
                seen.sample.pop_last();
            }
        }
    }

    /// Adds what another thread has seen.
    pub(crate) fn add(&mut self, other: Self) {
        for (task, other) in other.tasks {
            let seen = self.tasks.entry(task).or_default();
            seen.rows += other.rows;
            seen.sample.extend(other.sample);
            match other.outputs {
                Outputs::Few(few) => few.iter().for_each(|output| seen.outputs.add(output)),
                Outputs::Many => seen.outputs = Outputs::Many,
            }
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        let most = Self::most(self.tasks.len());
        for seen in self.tasks.values_mut() {
            while seen.sample.len() > most {
                seen.sample.pop_last();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_on_any_number_of_threads() {
        let row = |row: u64| {
            let content = Content { output: format!("{}", row % 40).into(), ..Content::default() };
            (format!("task {}", row % 100), crate::rng::nth(7, row), content)
        };
        let mut whole = Survey::default();
        (0..20_000).map(row).for_each(|(task, number, content)| whole.see(&task, number, &content));
        let mut parts = [Survey::default(), Survey::default(), Survey::default()];
        for at in 0..20_000 {
            let (task, number, content) = row(at);
            parts[(at % 7 % 3) as usize].see(&task, number, &content);
        }
        let mut joined = Survey::default();
        parts.into_iter().for_each(|part| joined.add(part));
        for (task, seen) in &whole.tasks {
            let other = &joined.tasks[task];
            assert_eq!((seen.rows, &seen.sample, &seen.outputs), (other.rows, &other.sample, &other.outputs));
            assert_eq!(seen.sample.len(), 40);
        }
    }
}
