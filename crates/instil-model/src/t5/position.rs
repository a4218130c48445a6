//! Relative positions: what is added to a score for how far the key lies from the query.

use std::ops::Range;

use crate::kernel::rows;

/// Whether keys before and after a query have buckets of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sees {
    /// The decoder's queries see no key after themselves.
    Before,
    /// The encoder's see all.
    Both,
}

/// Which row of the table a distance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    /// Rows of the table.
    pub(crate) count: usize,
    /// The distance from which on all share the last bucket.
    pub(crate) max_distance: usize,
    pub(crate) sees: Sees,
}

impl Buckets {
    /// The bucket of a key that lies `relative` places after the query (before it, if that is negative): near distances
    /// have their own, farther ones share them in logarithmic steps (transformers 5, `_relative_position_bucket`, which
    /// computes them in f32).
    pub(crate) fn of(self, relative: isize) -> usize {
        let (count, first, distance) = match self.sees {
            Sees::Before => (self.count, 0, relative.min(0).unsigned_abs()),
            Sees::Both => {
                let half = self.count / 2;
                (half, if relative > 0 { half } else { 0 }, relative.unsigned_abs())
            }
        };
        let exact = count / 2;
        if distance < exact {
            return first + distance;
        }
        let steps = (distance as f32 / exact as f32).ln()
            / (self.max_distance as f64 / exact as f64).ln() as f32
            * (count - exact) as f32;
        first + (exact + steps as usize).min(count - 1)
    }

    /// What the table `[count, heads]` adds for every distance of `len` rows among each other: by head, from the key
    /// `len - 1` places before the query to the one as far after it. [`Shifts::row`] is a query's part of it.
    pub(crate) fn spread(self, table: &[f32], heads: usize, len: usize) -> Shifts {
        let span = 2 * len - 1;
        let mut values = vec![0.0; heads * span];
        for place in 0..span {
            let bucket = self.of(place as isize - (len as isize - 1));
            for head in 0..heads {
                values[head * span + place] = table[bucket * heads + head];
            }
        }
        Shifts { len, span, values }
    }

    /// Adds gradients of what [`Buckets::spread`] gave to those of the table.
    pub(crate) fn gather(self, gradients: &Shifts, heads: usize, table: &mut [f32]) {
        for place in 0..gradients.span {
            let bucket = self.of(place as isize - (gradients.len as isize - 1));
            for head in 0..heads {
                table[bucket * heads + head] += gradients.values[head * gradients.span + place];
            }
        }
    }
}

/// What distances add to scores, by head.
#[derive(Clone, Debug)]
pub(crate) struct Shifts {
    /// The most rows that it is for.
    len: usize,
    span: usize,
    /// `[heads, span]`
    values: Vec<f32>,
}

impl Shifts {
    /// Zeros in their place.
    pub(crate) fn zeros_like(&self) -> Self {
        Self { values: vec![0.0; self.values.len()], ..*self }
    }

    /// Where the key at `key` lies for the query at `query`, among a head's.
    fn at(&self, query: usize, key: usize) -> usize {
        self.len - 1 - query + key
    }

    /// What a head adds for the query at `query` and the keys from `keys.start` to before `keys.end`.
    pub(crate) fn row(&self, head: usize, query: usize, keys: Range<usize>) -> &[f32] {
        let first = head * self.span;
        &self.values[first + self.at(query, keys.start)..first + self.at(query, keys.end)]
    }

    /// Adds to a head's numbers, from `start` on.
    pub(crate) fn add(&mut self, head: usize, start: usize, numbers: &[f32]) {
        let first = head * self.span + start;
        rows::add_in_place(&mut self.values[first..first + numbers.len()], numbers);
    }

    /// Where a query's first key has its number among a head's.
    pub(crate) fn start(&self, query: usize) -> usize {
        self.at(query, 0)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Table {
        buckets: usize,
        max_distance: usize,
        bidirectional: bool,
        from: isize,
        found: Vec<usize>,
    }

    #[derive(Deserialize)]
    struct Tables {
        tables: Vec<Table>,
    }

    #[test]
    fn buckets_are_those_of_transformers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/t5/buckets.json");
        let tables: Tables = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(tables.tables.len(), 6);
        for table in tables.tables {
            let sees = if table.bidirectional { Sees::Both } else { Sees::Before };
            let buckets = Buckets { count: table.buckets, max_distance: table.max_distance, sees };
            for (relative, wanted) in (table.from..).zip(table.found) {
                assert_eq!(buckets.of(relative), wanted, "{relative} of {buckets:?}");
            }
        }
    }

    #[test]
    fn a_row_has_the_table_by_distance() {
        let buckets = Buckets { count: 8, max_distance: 20, sees: Sees::Both };
        let table: Vec<f32> = (0..16).map(|number| number as f32).collect();
        let shifts = buckets.spread(&table, 2, 5);
        for query in 0..5 {
            for head in 0..2 {
                let row = shifts.row(head, query, 1..4);
                for (found, key) in row.iter().zip(1..4) {
                    assert_eq!(*found, table[buckets.of(key - query as isize) * 2 + head]);
                }
            }
        }
        // Its gradient goes back to where it came from.
        let mut back = vec![0.0; 16];
        buckets.gather(&Shifts { values: vec![1.0; 18], ..shifts }, 2, &mut back);
        assert_eq!(back.iter().sum::<f32>(), 18.0);
        assert_eq!(back[0], 1.0);
    }
}
