//! The operations that templates are made of (spec/cookbook.md 1.4), over lists of token numbers.
//!
//! Each is total: whatever it is given, it ends after a number of steps that the lengths of its lists bound, and has
//! a result. Decisions are made with whole numbers alone, so that they are the same on every platform.

use std::ops::Range;

use super::draw::Rng;

/// Appends `n` tokens drawn from a pool of `size`, with replacement.
pub fn sample(rng: &mut Rng, size: u32, n: usize, list: &mut Vec<u32>) {
    rng.fill(size, n, list);
}

/// Appends `n` tokens that differ from one another and from all of `list[from..]`; fewer where the pool of `size` has
/// no more, which [`super::Template::check`] sees to.
pub fn sample_distinct(rng: &mut Rng, size: u32, n: usize, from: usize, list: &mut Vec<u32>) {
    /// So many draws, then the next free token is taken.
    const DRAWS: usize = 16;
    let mut seen = Filter::of(&list[from..]);
    for _ in 0..n {
        let taken = list.len() - from;
        if taken >= size as usize {
            return;
        }
        let mut token = rng.below(size);
        let mut tries = 0;
        while seen.may_have(token) && list[from..].contains(&token) {
            tries += 1;
            token = if tries < DRAWS { rng.below(size) } else { (token + 1) % size };
        }
        seen.add(token);
        list.push(token);
    }
}

/// Says of most tokens that a list hasn't got them, without looking through it.
#[derive(Clone, Debug)]
pub struct Filter([u64; 64]);

impl Filter {
    /// The filter of this list.
    pub fn of(list: &[u32]) -> Self {
        let mut filter = Self([0; 64]);
        list.iter().for_each(|token| filter.add(*token));
        filter
    }

    /// Adds a token.
    #[inline]
    pub fn add(&mut self, token: u32) {
        self.0[(token >> 6 & 63) as usize] |= 1 << (token & 63);
    }

    /// Whether the token may have been added; if this is false, it hasn't.
    #[inline]
    pub fn may_have(&self, token: u32) -> bool {
        self.0[(token >> 6 & 63) as usize] >> (token & 63) & 1 == 1
    }

    /// [`overlap`] of `list`, which this is the filter of, and `other`.
    pub fn overlap(&self, list: &[u32], other: &[u32]) -> usize {
        let mut shared = 0;
        for (place, token) in other.iter().enumerate() {
            if self.may_have(*token) && !other[..place].contains(token) {
                shared += count(list, *token).min(count(&other[place..], *token));
            }
        }
        shared
    }
}

/// The start of a span of `len` in a list of `of` tokens, every place as likely; 0 where it doesn't fit.
pub fn span(rng: &mut Rng, of: usize, len: usize) -> usize {
    rng.below((of + 1).saturating_sub(len) as u32) as usize
}

/// The tokens before and behind `start..start + len` in a list of `of`: `left` and `right` of them, or what is there.
pub fn window(
    of: usize,
    start: usize,
    len: usize,
    left: usize,
    right: usize,
) -> (Range<usize>, Range<usize>) {
    let start = start.min(of);
    let end = start.saturating_add(len).min(of);
    (start.saturating_sub(left)..start, end..end.saturating_add(right).min(of))
}

/// Puts `list` into an order drawn at random (Fisher and Yates).
pub fn shuffle<T>(rng: &mut Rng, list: &mut [T]) {
    // A copy of its own stays in registers.
    let mut own = rng.clone();
    for last in (1..list.len()).rev() {
        list.swap(last, own.below(last as u32 + 1) as usize);
    }
    *rng = own;
}

/// Replaces each token, with this probability in millionths, by one drawn from a pool of `size`.
pub fn replace(rng: &mut Rng, size: u32, millionths: u32, list: &mut [u32]) {
    for token in list {
        if rng.chance(millionths) {
            *token = rng.below(size);
        }
    }
}

/// Replaces `n` tokens at places drawn at random, or all if there are fewer.
pub fn replace_n(rng: &mut Rng, size: u32, n: usize, list: &mut [u32]) {
    let mut left = n.min(list.len());
    let len = list.len();
    for (place, token) in list.iter_mut().enumerate() {
        if (rng.below((len - place) as u32) as usize) < left {
            *token = rng.below(size);
            left -= 1;
        }
    }
}

/// Removes each token of `list[from..]` with this probability in millionths.
pub fn drop(rng: &mut Rng, millionths: u32, from: usize, list: &mut Vec<u32>) {
    let mut kept = from;
    for place in from..list.len() {
        if !rng.chance(millionths) {
            list[kept] = list[place];
            kept += 1;
        }
    }
    list.truncate(kept);
}

/// Inserts `items` before `place`, or at the end if the list is shorter.
pub fn insert(list: &mut Vec<u32>, items: &[u32], place: usize) {
    let place = place.min(list.len());
    list.splice(place..place, items.iter().copied());
}

/// Appends the lists one after the other, with `separator` between two.
pub fn concat(lists: &[&[u32]], separator: Option<u32>, out: &mut Vec<u32>) {
    for (place, list) in lists.iter().enumerate() {
        if place > 0 {
            out.extend(separator);
        }
        out.extend_from_slice(list);
    }
}

/// Appends tokens of `list` at `n` different places drawn at random, in their order there; all if there are fewer.
pub fn pick(rng: &mut Rng, list: &[u32], n: usize, out: &mut Vec<u32>) {
    // A few places of a short list are drawn one by one, and kept in the bits of a number.
    if list.len() <= u128::BITS as usize && 2 * n <= list.len() {
        let mut places = 0_u128;
        while (places.count_ones() as usize) < n {
            places |= 1 << rng.below(list.len() as u32);
        }
        while places != 0 {
            out.push(list[places.trailing_zeros() as usize]);
            places &= places - 1;
        }
        return;
    }
    // Else each place is looked at (selection sampling: Knuth 3.4.2, algorithm S).
    let mut left = n.min(list.len());
    for (place, token) in list.iter().enumerate() {
        if (rng.below((list.len() - place) as u32) as usize) < left {
            out.push(*token);
            left -= 1;
        }
    }
}

/// Where `part` begins in `list` for the first time.
pub fn index_of(list: &[u32], part: &[u32]) -> Option<usize> {
    let first = *part.first()?;
    let places = (list.len() + 1).checked_sub(part.len())?;
    (0..places).find(|start| list[*start] == first && list[*start..*start + part.len()] == *part)
}

/// How often `part` begins in `list`; places may overlap.
pub fn occurrences(list: &[u32], part: &[u32]) -> usize {
    let (Some(first), Some(places)) = (part.first(), (list.len() + 1).checked_sub(part.len())) else {
        return 0;
    };
    let begins = list[..places].iter().enumerate().filter(|(_, token)| *token == first);
    begins.filter(|(start, _)| list[*start..*start + part.len()] == *part).count()
}

/// How often `token` is in `list`.
pub fn count(list: &[u32], token: u32) -> usize {
    // Summed in 32 bits, so that as many are compared at once as a vector holds.
    list.iter().map(|one| u32::from(*one == token)).sum::<u32>() as usize
}

/// How many tokens `a` and `b` have in common, each as often as it is in both (the size of the multiset `a ∩ b`).
pub fn overlap(a: &[u32], b: &[u32]) -> usize {
    let (a, b) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    Filter::of(a).overlap(a, b)
}

/// How many different tokens `a` and `b` have in common.
pub fn overlap_set(a: &[u32], b: &[u32]) -> usize {
    a.iter().enumerate().filter(|(place, token)| !a[..*place].contains(token) && b.contains(token)).count()
}

/// The place of the largest number, where there is just one such place.
pub fn argmax(numbers: impl IntoIterator<Item = usize>) -> Option<usize> {
    let (mut best, mut most, mut is_alone) = (0, None, false);
    for (place, number) in numbers.into_iter().enumerate() {
        match most {
            Some(most) if number < most => {}
            Some(most) if number == most => is_alone = false,
            _ => (best, most, is_alone) = (place, Some(number), true),
        }
    }
    is_alone.then_some(best)
}

/// The place of the smallest number, where there is just one such place.
pub fn argmin(numbers: impl IntoIterator<Item = usize>) -> Option<usize> {
    argmax(numbers.into_iter().map(|number| usize::MAX - number))
}

/// A place drawn with these weights; 0 if all are 0.
pub fn choice(rng: &mut Rng, weights: &[u32]) -> usize {
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left = ((u128::from(rng.bits()) * u128::from(total)) >> 64) as u64;
    for (place, weight) in weights.iter().enumerate() {
        match left.checked_sub(u64::from(*weight)) {
            Some(rest) => left = rest,
            None => return place,
        }
    }
    0
}

/// What stands for `key` in a table of pairs: the last one counts.
pub fn lookup<'a>(table: &[(&[u32], &'a [u32])], key: &[u32]) -> Option<&'a [u32]> {
    table.iter().rev().find(|(one, _)| *one == key).map(|(_, value)| *value)
}

/// Whether `part` in `whole` is at least `millionths` of a million of them; true of nothing in nothing.
pub fn is_share(part: usize, whole: usize, millionths: u32) -> bool {
    part as u64 * 1_000_000 >= whole as u64 * u64::from(millionths)
}

#[cfg(test)]
mod tests {
    use super::super::draw::Key;
    use super::*;

    fn rng() -> Rng {
        Key::new(7, &["ops"]).draw(0).steady
    }

    #[test]
    fn lists_are_drawn_and_cut_within_their_bounds() {
        let rng = &mut rng();
        let mut list = vec![1, 1];
        sample_distinct(rng, 50, 50, 2, &mut list);
        assert_eq!(list.len(), 52);
        list[2..].sort_unstable();
        assert!(list[2..].iter().copied().eq(0..50), "all fifty, each once");
        sample_distinct(rng, 50, 3, 2, &mut list);
        assert_eq!(list.len(), 52, "no fifty-first is invented");
        assert!((0..100).all(|_| span(rng, 10, 4) <= 6) && span(rng, 3, 9) == 0);
        assert_eq!(window(10, 4, 2, 3, 2), (1..4, 6..8));
        assert_eq!(window(10, 1, 9, 3, 2), (0..1, 10..10));
        assert_eq!(window(3, 9, usize::MAX, 1, usize::MAX), (2..3, 3..3));
    }

    #[test]
    fn lists_are_changed_as_said() {
        let rng = &mut rng();
        let whole: Vec<u32> = (0..100).collect();
        let mut list = whole.clone();
        shuffle(rng, &mut list);
        assert_ne!(list, whole);
        list.sort_unstable();
        assert_eq!(list, whole);
        replace_n(rng, 1, 30, &mut list[1..]);
        assert_eq!(count(&list, 0), 31);
        replace(rng, 1, 1_000_000, &mut list);
        assert_eq!(count(&list, 0), 100);
        let mut picked = Vec::new();
        pick(rng, &whole, 10, &mut picked);
        assert!(picked.len() == 10 && picked.is_sorted());
        super::drop(rng, 1_000_000, 4, &mut picked);
        assert_eq!(picked.len(), 4);
        insert(&mut picked, &[7, 7], 99);
        insert(&mut picked, &[8], 0);
        assert!(picked.len() == 7 && picked[0] == 8 && picked[5..] == [7, 7]);
        let mut joined = Vec::new();
        concat(&[&[1, 2], &[], &[3]], Some(9), &mut joined);
        assert_eq!(joined, [1, 2, 9, 9, 3]);
    }

    #[test]
    fn lists_are_compared_as_multisets() {
        assert_eq!(overlap(&[1, 1, 2, 3], &[1, 1, 1, 3, 9]), 3);
        assert_eq!(overlap(&[1, 1, 1, 3, 9], &[1, 1, 2, 3]), 3);
        let long: Vec<u32> = (0..200).map(|number| number % 70).collect();
        assert_eq!(overlap(&long, &[4096, 5, 5, 5, 5, 69, 69, 69]), 5);
        assert_eq!(overlap_set(&[1, 1, 2, 3], &[1, 1, 1, 3, 9]), 2);
        assert_eq!(index_of(&[1, 2, 1, 2, 3], &[1, 2, 3]), Some(2));
        assert_eq!((index_of(&[1], &[1, 2]), index_of(&[1], &[])), (None, None));
        assert_eq!((occurrences(&[1, 1, 1, 2], &[1, 1]), occurrences(&[1], &[1, 1])), (2, 0));
        assert_eq!((argmax([1, 5, 2]), argmax([5, 5]), argmax([5, 6, 6, 7])), (Some(1), None, Some(3)));
        assert_eq!((argmin([3, 1, 2]), argmin([1, 1]), argmin([])), (Some(1), None, None));
        assert_eq!(lookup(&[(&[1], &[2]), (&[1], &[3])], &[1]), Some([3].as_slice()));
        assert!(is_share(1, 2, 500_000) && !is_share(1, 2, 500_001) && is_share(0, 0, 1));
        let rng = &mut rng();
        let drawn = (0..9000).filter(|_| choice(rng, &[1, 0, 2]) == 2).count();
        assert!((5_700..6_300).contains(&drawn), "{drawn}");
        assert!((0..99).all(|_| choice(rng, &[1, 0, 2]) != 1) && choice(rng, &[0, 0]) == 0);
    }
}
