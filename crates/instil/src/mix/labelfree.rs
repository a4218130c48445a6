//! How often models are right, from how often they agree: accuracies without labels (spec/cookbook.md 3.3).
//!
//! Let voter `i` be right with probability `a_i` and otherwise say each of the other `K - 1` things as often, and let
//! voters err independently of each other. With `e_i = (K a_i - 1) / (K - 1)` the chance-corrected agreement of two of
//! them, `c_ij = E[(K 1{v_i = v_j} - 1) / (K - 1)]`, is `e_i e_j`. So of three voters each is known:
//! `|e_i| = sqrt(|c_ij c_ik / c_jk|)`, the triplet method of FlyingSquid (Fu et al. 2020), and of more a rank-one matrix
//! is fitted to the agreements. For answers in free text `K` is infinite: `c` is the rate of agreement and `a = e`.
//!
//! **What comes of it ranks; it doesn't measure.** Models that were tuned from one base share errors, which looks like
//! being right: with two fifths of the items answered alike by all, the specification's simulation finds 0.87 for an
//! accuracy of 0.70, and the order right 98 times of 100.

use crate::error::{Error, Result};
use crate::metrics::interval::{DRAWS, percentile};
use crate::rng::{nth, seed_of};

/// Agreements nearer to chance than this say nothing as a divisor.
const LEAST: f64 = 0.02;
/// The refinement ends when nothing moves by more than this.
const STILL: f64 = 1e-9;
/// And at the latest after so many rounds.
const ROUNDS: usize = 10_000;

/// What each of some voters says about each of some items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    voters: usize,
    /// Of each item how many answers there are to choose from; none where they are free.
    choices: Vec<Option<u32>>,
    /// Item by item, voter by voter; none where a voter said nothing.
    votes: Vec<Option<u32>>,
}

impl Votes {
    /// No item yet.
    pub fn new(voters: usize) -> Self {
        Self { voters, ..Self::default() }
    }

    /// Adds an item: how many answers it has, and the number of each voter's. Numbers are equal where answers are.
    ///
    /// # Panics
    /// When there is not one vote for each voter.
    pub fn push(&mut self, choices: Option<u32>, votes: &[Option<u32>]) {
        assert_eq!(votes.len(), self.voters, "each voter has a vote");
        self.choices.push(choices);
        self.votes.extend_from_slice(votes);
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.choices.len()
    }

    /// How many voters there are.
    pub fn voters(&self) -> usize {
        self.voters
    }

    fn of(&self, item: usize) -> &[Option<u32>] {
        &self.votes[item * self.voters..(item + 1) * self.voters]
    }

    /// The mean over some items of 1 / K: what chance would get.
    fn chance(&self, items: &[usize]) -> f64 {
        let one = |item: &usize| self.choices[*item].map_or(0.0, |choices| 1.0 / f64::from(choices));
        items.iter().map(one).sum::<f64>() / items.len().max(1) as f64
    }

    /// The agreements of voters over some items, of which one may come several times.
    pub fn agreements(&self, items: &[usize]) -> Agreements {
        let mut sums = vec![0.0; self.voters * self.voters];
        for item in items {
            // (K 1 - 1) / (K - 1) where they agree, -1 / (K - 1) where not; 1 and 0 where answers are free.
            let apart = self.choices[*item].map_or(0.0, |choices| -1.0 / (f64::from(choices) - 1.0));
            let votes = self.of(*item);
            for (i, one) in votes.iter().enumerate() {
                for (j, other) in votes[..i].iter().enumerate() {
                    let is_alike = one.is_some() && one == other;
                    sums[i * self.voters + j] += if is_alike { 1.0 } else { apart };
                }
            }
        }
        let count = items.len().max(1) as f64;
        let mut agreements = Agreements { voters: self.voters, values: vec![1.0; sums.len()] };
        for i in 0..self.voters {
            for j in 0..i {
                agreements.set(i, j, sums[i * self.voters + j] / count);
            }
        }
        agreements
    }
}

/// A symmetric matrix of chance-corrected agreements; what stands on its diagonal means nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreements {
    voters: usize,
    values: Vec<f64>,
}

impl Agreements {
    /// The agreements below the diagonal, row by row: `c_10, c_20, c_21, …`
    ///
    /// # Panics
    /// When they are not as many as pairs of voters.
    pub fn of_pairs(voters: usize, pairs: &[f64]) -> Self {
        assert_eq!(pairs.len(), voters * (voters - 1) / 2, "each pair of voters has an agreement");
        let mut agreements = Self { voters, values: vec![1.0; voters * voters] };
        let mut pairs = pairs.iter();
        for i in 0..voters {
            for j in 0..i {
                agreements.set(i, j, *pairs.next().expect("they were counted above"));
            }
        }
        agreements
    }

    /// The agreement of two voters.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.voters + j]
    }

    fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[i * self.voters + j] = value;
        self.values[j * self.voters + i] = value;
    }

    /// `e_i` of each voter by its triplets: the median of what they give, clipped to 0..1. 0 where no triplet says
    /// anything.
    pub fn triplets(&self) -> Vec<f64> {
        let others = |i: usize| (0..self.voters).filter(move |j| *j != i);
        let of = |i: usize| {
            let mut found: Vec<f64> = others(i)
                .flat_map(|j| others(i).filter(move |k| *k > j).map(move |k| (j, k)))
                .filter(|(j, k)| self.get(*j, *k).abs() >= LEAST)
                .map(|(j, k)| (self.get(i, j) * self.get(i, k) / self.get(j, k)).abs().sqrt())
                .collect();
            found.sort_by(f64::total_cmp);
            percentile(&found, 50.0).unwrap_or(0.0).clamp(0.0, 1.0)
        };
        (0..self.voters).map(of).collect()
    }

    /// The best rank-one fit beside the diagonal from this start: `e_i <- sum c_ij e_j / sum e_j^2` over the others,
    /// clipped to 0..1, until nothing moves.
    pub fn refined(&self, start: &[f64]) -> Vec<f64> {
        let mut e = start.to_vec();
        for _ in 0..ROUNDS {
            let mut moved: f64 = 0.0;
            for i in 0..self.voters {
                let (mut over, mut under) = (0.0, 0.0);
                for j in (0..self.voters).filter(|j| *j != i) {
                    over += self.get(i, j) * e[j];
                    under += e[j] * e[j];
                }
                let next = if under > 0.0 { (over / under).clamp(0.0, 1.0) } else { 0.0 };
                moved = moved.max((next - e[i]).abs());
                e[i] = next;
            }
            if moved < STILL {
                break;
            }
        }
        e
    }
}

/// What agreements say of the voters.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The estimated accuracy of each voter.
    pub accuracy: Vec<f64>,
    /// Its 95 % interval by the bootstrap over items.
    pub interval: Vec<(f64, f64)>,
    /// The accuracies of each bootstrap draw: `draws[draw][voter]`.
    pub draws: Vec<Vec<f64>>,
    /// Voters that take the choice of the same number of every item.
    pub constant: Vec<usize>,
}

/// Estimates the accuracies of voters, each better than chance, by triplets and a rank-one fit. `names` are the
/// voters', for errors.
///
/// The draws of the bootstrap are a function of `seed` and the number of items.
///
/// # Errors
/// When there are fewer than three voters or no item, there is nothing to choose from, two voters say the same of every
/// item, or agreements are no more than chance.
pub fn estimate(votes: &Votes, names: &[&str], seed: u64) -> Result<Estimate> {
    check(votes, names)?;
    let all: Vec<usize> = (0..votes.items()).collect();
    let of = |items: &[usize]| {
        let agreements = votes.agreements(items);
        let chance = votes.chance(items);
        let e = agreements.refined(&agreements.triplets());
        (e.iter().map(|e| chance + (1.0 - chance) * e).collect::<Vec<f64>>(), e)
    };
    let (accuracy, e) = of(&all);
    if e.iter().all(|e| *e < LEAST) {
        return Err(Error::input("the models' answers agree no more than chance would make them")
            .because("accuracies are estimated from agreements, and there is none")
            .with_hint(
                "train longer, ask about more items, or estimate with labels: `mode = \"labelled\"`",
            ));
    }
    let mut draws = Vec::with_capacity(DRAWS as usize);
    let mut drawn = vec![0; all.len()];
    for draw in 0..DRAWS {
        let row = seed_of(seed, &["bootstrap", &draw.to_string()]);
        for (place, item) in drawn.iter_mut().enumerate() {
            *item = ((u128::from(nth(row, place as u64)) * all.len() as u128) >> 64) as usize;
        }
        draws.push(of(&drawn).0);
    }
    let interval = (0..votes.voters()).map(|voter| interval_of(&draws, voter)).collect();
    let constant = (0..votes.voters()).filter(|voter| is_constant(votes, *voter)).collect();
    Ok(Estimate { accuracy, interval, draws, constant })
}

/// The 95 % interval of a column of draws.
pub(super) fn interval_of(draws: &[Vec<f64>], column: usize) -> (f64, f64) {
    let mut values: Vec<f64> = draws.iter().map(|draw| draw[column]).collect();
    values.sort_by(f64::total_cmp);
    let at = |percent| percentile(&values, percent).unwrap_or(f64::NAN);
    (at(2.5), at(97.5))
}

fn is_constant(votes: &Votes, voter: usize) -> bool {
    let first = votes.of(0)[voter];
    // Numbers of free answers mean nothing beyond their item.
    (0..votes.items()).all(|item| votes.choices[item].is_some() && votes.of(item)[voter] == first)
}

/// Refuses votes of which nothing can be learnt.
fn check(votes: &Votes, names: &[&str]) -> Result<()> {
    if votes.voters() < 3 {
        return Err(Error::usage(format!(
            "there are {} sources, and accuracies without labels need three",
            votes.voters()
        ))
        .because("of two models it can be seen how often they agree, not which of them is right")
        .with_hint("add a source, or estimate with labels: `mode = \"labelled\"`"));
    }
    if votes.items() == 0 {
        return Err(Error::input("there is no item that the models were asked about")
            .with_hint("look at the task's rows with `instil eval --dry-run`"));
    }
    if votes.choices.iter().any(|choices| choices.is_some_and(|choices| choices < 2)) {
        return Err(Error::input("an item of the task has one possible answer, so that nothing is chosen")
            .because("models that always say the same agree without being right")
            .with_hint("a task needs two answers to choose from: look at `choices` of its file"));
    }
    for i in 0..votes.voters() {
        for j in 0..i {
            if (0..votes.items()).all(|item| votes.of(item)[i] == votes.of(item)[j]) {
                return Err(Error::input(format!(
                    "the models of `{}` and `{}` give the same answer to each of {} items",
                    names[j],
                    names[i],
                    votes.items()
                ))
                .because("one of them says nothing that the other doesn't, and their agreement is no sign of being right")
                .with_hint("train longer or with a higher rate so that they differ, ask about more items, or leave one out"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Votes of ten and eight items, a text of digits an item (spec/cookbook.md 3.3).
    fn votes(choices: u32, items: &str) -> Votes {
        let mut votes = Votes::new(3);
        for item in items.split(' ') {
            let digits: Vec<Option<u32>> = item.chars().map(|digit| digit.to_digit(10)).collect();
            votes.push(Some(choices), &digits);
        }
        votes
    }

    fn all(votes: &Votes) -> Vec<usize> {
        (0..votes.items()).collect()
    }

    fn near(found: &[f64], wanted: &[f64]) {
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} is not {wanted:?}");
    }

    fn accuracies(e: &[f64], choices: f64) -> Vec<f64> {
        e.iter().map(|e| (1.0 + (choices - 1.0) * e) / choices).collect()
    }

    #[test]
    fn the_test_vectors_of_the_specification() {
        let e = Agreements::of_pairs(3, &[0.56, 0.42, 0.48]).triplets();
        near(&e, &[0.70, 0.80, 0.60]);
        near(&accuracies(&e, 2.0), &[0.85, 0.90, 0.80]);
        near(&accuracies(&e, 4.0), &[0.775, 0.85, 0.70]);

        let two = votes(2, "000 111 110 000 101 000 111 010 111 000");
        let c = two.agreements(&all(&two));
        near(&[c.get(0, 1), c.get(0, 2), c.get(1, 2)], &[0.6, 0.8, 0.4]);
        near(&c.triplets(), &[1.0, 0.547_723, 0.730_297]);
        near(&accuracies(&c.triplets(), 2.0), &[1.0, 0.773_861, 0.865_148]);

        let four = votes(4, "000 112 222 333 010 111 220 333");
        let c = four.agreements(&all(&four));
        near(&[c.get(0, 1), c.get(0, 2), c.get(1, 2)], &[0.833_333, 0.666_667, 0.5]);
        near(&c.triplets(), &[1.0, 0.790_569, 0.632_456]);
        near(&accuracies(&c.triplets(), 4.0), &[1.0, 0.842_927, 0.724_342]);
    }

    #[test]
    fn a_matrix_of_rank_one_is_its_own_fit() {
        let e = [0.9, 0.7, 0.5, 0.3];
        let pairs: Vec<f64> = (0..4).flat_map(|i| (0..i).map(move |j| e[i] * e[j])).collect();
        let c = Agreements::of_pairs(4, &pairs);
        near(&c.triplets(), &e);
        near(&c.refined(&[0.5; 4]), &e);
    }

    /// Voters that are right so often and err independently; the truth of item `i` is `i % k`.
    fn simulated(accuracies: &[f64], k: u32, items: usize, seed: u64) -> Votes {
        let mut votes = Votes::new(accuracies.len());
        let unit = |number: u64| (number >> 11) as f64 / (1_u64 << 53) as f64;
        for item in 0..items {
            let truth = item as u32 % k;
            let said = accuracies.iter().enumerate().map(|(voter, accuracy)| {
                let row = seed_of(seed, &[&voter.to_string()]);
                if unit(nth(row, 2 * item as u64)) < *accuracy {
                    return Some(truth);
                }
                let other = (unit(nth(row, 2 * item as u64 + 1)) * f64::from(k - 1)) as u32;
                Some((truth + 1 + other) % k)
            });
            votes.push(Some(k), &said.collect::<Vec<_>>());
        }
        votes
    }

    /// Mean absolute errors of the start and of the refined fit over 50 repeats, as in the specification's table.
    fn errors(k: u32, items: usize) -> (f64, f64) {
        let floor = if k == 2 { 0.55 } else { 0.0 };
        let planted: Vec<f64> =
            [0.80, 0.70, 0.62, 0.55, 0.45, 0.40].iter().map(|a: &f64| a.max(floor)).collect();
        let mut sums = (0.0, 0.0);
        for seed in 0..50 {
            let votes = simulated(&planted, k, items, seed);
            let c = votes.agreements(&all(&votes));
            let start = c.triplets();
            let mean = |e: &[f64]| {
                let found = accuracies(e, f64::from(k));
                found.iter().zip(&planted).map(|(a, b)| (a - b).abs()).sum::<f64>() / planted.len() as f64
            };
            sums.0 += mean(&start) / 50.0;
            sums.1 += mean(&c.refined(&start)) / 50.0;
        }
        sums
    }

    #[test]
    fn planted_accuracies_are_found_within_the_specifications_errors() {
        // spec/cookbook.md 3.3: triplet median and rank-one refined. A tenth more for other random numbers.
        for (k, items, median, refined) in
            [(2, 300, 0.052, 0.046), (2, 3000, 0.022, 0.013), (4, 300, 0.033, 0.026), (4, 3000, 0.010, 0.009)]
        {
            let found = errors(k, items);
            assert!(found.0 < 1.1 * median + 0.001, "median of {k} choices, {items} items: {found:?}");
            assert!(found.1 < 1.1 * refined + 0.001, "refined of {k} choices, {items} items: {found:?}");
        }
    }

    #[test]
    fn shared_errors_lift_the_level_and_leave_the_order() {
        // The specification's simulation with rho 0.4: true means .70 .64 .59 .55 .52, estimated .87 to .75.
        let planted = [0.80, 0.70, 0.62, 0.55, 0.50];
        let own = simulated(&planted, 4, 2000, 5);
        let base = simulated(&[0.55], 4, 2000, 6);
        let mut votes = Votes::new(5);
        for item in 0..2000 {
            let is_shared = (nth(17, item as u64) >> 11) as f64 / (1_u64 << 53) as f64 <= 0.4;
            let said = if is_shared { vec![base.of(item)[0]; 5] } else { own.of(item).to_vec() };
            votes.push(Some(4), &said);
        }
        let found = estimate(&votes, &["a", "b", "c", "d", "e"], 1).unwrap();
        assert!(found.accuracy.windows(2).all(|pair| pair[0] > pair[1]), "{:?}", found.accuracy);
        assert!(found.accuracy[0] > 0.82 && found.accuracy[4] > 0.70, "{:?}", found.accuracy);
    }

    #[test]
    fn intervals_hold_the_estimate_and_are_the_seeds() {
        let votes = simulated(&[0.8, 0.7, 0.6], 4, 400, 3);
        let found = estimate(&votes, &["a", "b", "c"], 1).unwrap();
        for (accuracy, (low, high)) in found.accuracy.iter().zip(&found.interval) {
            assert!(low <= accuracy && accuracy <= high && high - low < 0.3, "{accuracy} in {low}..{high}");
        }
        assert_eq!(found, estimate(&votes, &["a", "b", "c"], 1).unwrap());
    }

    #[test]
    fn free_answers_are_the_limit_of_many_choices() {
        let mut free = Votes::new(3);
        for votes in [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]] {
            free.push(None, &votes.map(Some));
        }
        let c = free.agreements(&all(&free));
        near(&[c.get(0, 1), c.get(0, 2), c.get(1, 2)], &[0.75, 0.75, 0.5]);
    }

    #[test]
    fn what_can_not_be_estimated_is_explained() {
        let say = |votes: &Votes| {
            let e = estimate(votes, &["a", "b", "c"], 1).unwrap_err();
            format!("{e}: {}", std::error::Error::source(&e).map_or(String::new(), ToString::to_string))
        };
        let mut two = Votes::new(2);
        two.push(Some(2), &[Some(0), Some(1)]);
        insta::assert_snapshot!(say(&two), @"there are 2 sources, and accuracies without labels need three: of two models it can be seen how often they agree, not which of them is right");
        insta::assert_snapshot!(say(&votes(2, "000 110 001 111")), @"the models of `a` and `b` give the same answer to each of 4 items: one of them says nothing that the other doesn't, and their agreement is no sign of being right");
        let mut one = Votes::new(3);
        one.push(Some(1), &[Some(0); 3]);
        insta::assert_snapshot!(say(&one), @"an item of the task has one possible answer, so that nothing is chosen: models that always say the same agree without being right");
        insta::assert_snapshot!(say(&votes(2, "001 010 100 110 101 011")), @"the models' answers agree no more than chance would make them: accuracies are estimated from agreements, and there is none");
    }
}
