//! Runs of tokens that several texts have in common.

use std::collections::HashMap;
use std::ops::Range;

/// A place in a text at which a run begins that all texts may have.
#[derive(Clone, Copy)]
struct Begin {
    at: usize,
    /// The number of the run that begins here, the same in all texts.
    run: u32,
}

/// The runs of at most `longest` tokens that stand in every text, as places of the text `shown`: shorter ones first,
/// and in the order of the text.
///
/// A run can be longer by a token only where it was common before. So for each length only those places are looked at
/// that were left for the one before, and a run is known by the number of that and its last token: the work is what the
/// texts have in common, and not their length times the runs'.
pub(super) fn common(texts: &[&[u32]], shown: usize, longest: usize) -> Vec<Range<usize>> {
    let mut alive: Vec<Vec<Begin>> =
        texts.iter().map(|text| (0..text.len()).map(|at| Begin { at, run: 0 }).collect()).collect();
    let mut runs = Vec::new();
    for long in 1..=longest {
        let last = |text: usize, begin: Begin| texts[text].get(begin.at + long - 1).copied();
        let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
        for begin in &alive[shown] {
            if let Some(token) = last(shown, *begin) {
                let next = u32::try_from(numbers.len()).expect("a text has fewer tokens");
                numbers.entry((begin.run, token)).or_insert(next);
            }
        }
        // How many of the texts looked at have each run; what the one before lacks is left out.
        let mut seen = vec![0; numbers.len()];
        for (text, begins) in alive.iter_mut().enumerate() {
            begins.retain_mut(|begin| {
                let Some(run) = last(text, *begin).and_then(|token| numbers.get(&(begin.run, token))) else {
                    return false;
                };
                begin.run = *run;
                let count = &mut seen[*run as usize];
                if *count == text {
                    *count += 1;
                }
                *count > text
            });
        }
        for begins in &mut alive {
            begins.retain(|begin| seen[begin.run as usize] == texts.len());
        }
        if alive[shown].is_empty() {
            break;
        }
        runs.extend(alive[shown].iter().map(|begin| begin.at..begin.at + long));
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the definition says it: every run of the shown text that is looked for in every text.
    fn by_definition(texts: &[&[u32]], shown: usize, longest: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        for long in 1..=longest {
            for (at, run) in texts[shown].windows(long).enumerate() {
                if texts.iter().all(|text| text.windows(long).any(|other| other == run)) {
                    runs.push(at..at + long);
                }
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn runs_are_those_of_the_definition(
            texts in prop::collection::vec(prop::collection::vec(0..4_u32, 0..24), 1..6),
            shown in any::<prop::sample::Index>(),
            longest in 1..10_usize,
        ) {
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let shown = shown.index(texts.len());
            prop_assert_eq!(common(&texts, shown, longest), by_definition(&texts, shown, longest));
        }
    }
}
