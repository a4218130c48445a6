//! Pieces put together into passages.

use std::ops::Range;

use super::Limit;
use super::pieces::{Bound, Piece};

/// How many short lines in a row can be headings; more are a list or a poem.
const HEADINGS: usize = 3;

/// The spans of the passages: each as long as fits, ending at the best bound in its second half.
pub(super) fn pack(text: &str, pieces: &[Piece], limit: &Limit) -> Vec<Range<usize>> {
    let pack = Pack { text, pieces, limit, max: limit.max() };
    let all = 0..pieces.len();
    // The pieces' tokens one by one may be too many where those of the whole are not.
    if pack.size(&all) > pack.max && pack.size(&all) <= 2 * pack.max + pieces.len() && pack.really_fits(&all)
    {
        return vec![pack.span(&all)];
    }
    let mut runs = Vec::new();
    let mut start = 0;
    while start < pieces.len() {
        let end = pack.end_of_run(start);
        runs.push(start..end);
        start = end;
    }
    pack.balance_last(&mut runs);
    let mut spans = Vec::with_capacity(runs.len());
    for run in runs {
        pack.push_fitting(run, &mut spans);
    }
    spans
}

struct Pack<'a> {
    text: &'a str,
    pieces: &'a [Piece],
    limit: &'a Limit,
    max: usize,
}

impl Pack<'_> {
    fn size(&self, run: &Range<usize>) -> usize {
        match &self.pieces[run.clone()] {
            [] => 0,
            [only] => only.extent.len(),
            [first, .., last] => last.extent.end - first.extent.start,
        }
    }

    fn span(&self, run: &Range<usize>) -> Range<usize> {
        self.pieces[run.start].span.start..self.pieces[run.end - 1].span.end
    }

    fn really_fits(&self, run: &Range<usize>) -> bool {
        self.limit.measure(&self.text[self.span(run)]) <= self.max
    }

    /// How good it is to begin a passage with the piece `at`; after a heading it is not.
    fn bound(&self, at: usize) -> Bound {
        match self.pieces.get(at) {
            None => Bound::Paragraph,
            Some(_) if self.pieces[at - 1].is_heading => Bound::Char,
            Some(piece) => piece.bound,
        }
    }

    /// Where the passage that begins with the piece `start` ends.
    fn end_of_run(&self, start: usize) -> usize {
        let mut end = start + 1;
        while end < self.pieces.len() && self.size(&(start..end + 1)) <= self.max {
            end += 1;
        }
        if end == self.pieces.len() {
            return end;
        }
        end = self.before_headings(start, end);
        let half = (start + 1..end).rev().take_while(|at| self.size(&(start..*at)) >= self.max / 2);
        let best = half.fold((self.bound(end), end), |best, at| {
            let bound = self.bound(at);
            if bound > best.0 { (bound, at) } else { best }
        });
        best.1
    }

    /// Leaves headings at the end of a passage to the next, if what they head fits with them.
    fn before_headings(&self, start: usize, end: usize) -> usize {
        let headings = self.pieces[start..end].iter().rev().take_while(|piece| piece.is_heading).count();
        let before = end - headings;
        let helps = (1..=HEADINGS).contains(&headings)
            && before > start
            && self.size(&(before..(end + 1).min(self.pieces.len()))) <= self.max;
        if helps { before } else { end }
    }

    /// Shares the last two passages' text more evenly where the last is tiny.
    fn balance_last(&self, runs: &mut Vec<Range<usize>>) {
        let quarter = self.max.div_ceil(4);
        let [.., before, last] = &runs[..] else { return };
        if self.size(last) >= quarter {
            return;
        }
        let (start, end) = (before.start, last.end);
        let fits = |run: Range<usize>| (quarter..=self.max).contains(&self.size(&run));
        let even = |at: &usize| self.size(&(start..*at)).abs_diff(self.size(&(*at..end)));
        let best = (start + 1..last.start)
            .filter(|at| fits(start..*at) && fits(*at..end))
            .min_by_key(|at| (std::cmp::Reverse(self.bound(*at)), even(at)));
        if let Some(at) = best {
            runs.truncate(runs.len() - 2);
            runs.extend([start..at, at..end]);
        }
    }

    /// Adds the run's span, cut in two wherever its tokens are more than those of its pieces.
    fn push_fitting(&self, run: Range<usize>, spans: &mut Vec<Range<usize>>) {
        if run.len() == 1 || matches!(self.limit, Limit::Chars(_)) || self.really_fits(&run) {
            return spans.push(self.span(&run));
        }
        let middle = run.start + run.len() / 2;
        let nearest = |at: &usize| (std::cmp::Reverse(self.bound(*at)), at.abs_diff(middle));
        let at = (run.start + 1..run.end).min_by_key(nearest).expect("the run has two pieces or more");
        self.push_fitting(run.start..at, spans);
        self.push_fitting(at..run.end, spans);
    }
}
