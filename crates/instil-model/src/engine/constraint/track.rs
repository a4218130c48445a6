//! Parts of texts that are known beforehand: one of several, or words of a passage.
//!
//! What has been written so far stands at one or more places of the texts. The set of these places is the state
//! of the suffix automaton, made only for what a completion reaches; the tokens that lead on are found by following the
//! texts from each place through the trie of the vocabulary.

use std::sync::OnceLock;

use super::vocabulary::{Mask, NEVER, ROOT, Vocabulary, WALL};
use crate::engine::constraint::BLANKS;

/// Texts, and where parts of them may begin and end.
pub(super) struct Track {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    /// By place, the one behind the last byte too.
    ends: Vec<bool>,
    /// By place: how many bytes lead to the next end; [`NEVER`] where none does.
    gaps: Vec<u32>,
    /// The largest of them.
    farthest: u32,
    /// By place: how few tokens lead to an end.
    least: OnceLock<Vec<u32>>,
}

/// How far a part has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// The places behind what was written.
    at: Vec<u32>,
    /// While nothing but blanks was written: how many more may come.
    lead: Option<u8>,
}

impl Places {
    /// Before the first byte, which up to `blanks` blanks may precede.
    pub(super) fn first(blanks: u8) -> Self {
        Self { at: Vec::new(), lead: Some(blanks) }
    }
}

impl Track {
    /// Each of these texts, whole.
    pub(super) fn of_texts(texts: &[String]) -> Self {
        let (mut bytes, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for text in texts.iter().filter(|text| !text.is_empty()) {
            // Texts of a request are far below 4 GiB.
            starts.push(bytes.len() as u32);
            bytes.extend_from_slice(text.as_bytes());
            ends.resize(bytes.len(), false);
            ends.push(true);
            bytes.push(WALL);
        }
        ends.resize(bytes.len() + 1, false);
        Self::new(bytes, starts, ends)
    }

    /// Words of a text, one after the other, without `never`: what stands in the text by
    /// [`occurs`](instil::check::words::occurs).
    pub(super) fn of_words(text: &str, never: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        let letters: Vec<(usize, char)> = text.char_indices().collect();
        // What the word goes on with beyond apostrophes, which don't part words.
        let is_apostrophe = |c: &&(usize, char)| matches!(c.1, '\'' | '’');
        let is_script = |c: char| c >= '\u{2e80}';
        let parts = |place: usize| {
            let before = letters[..place].iter().rev().find(|c| !is_apostrophe(c)).map(|c| c.1);
            let after = letters[place..].iter().find(|c| !is_apostrophe(c)).map(|c| c.1);
            match (before, after) {
                (Some(one), Some(two)) if one.is_alphanumeric() && two.is_alphanumeric() => {
                    is_script(one) && is_script(two)
                }
                _ => true,
            }
        };
        let is_mark = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control();
        let mut starts = Vec::new();
        let mut ends = vec![false; bytes.len() + 1];
        for place in 0..=letters.len() {
            if !parts(place) {
                continue;
            }
            let at = letters.get(place).map_or(bytes.len(), |letter| letter.0);
            // Marks belong to the word that they touch: those before it to one that begins, those behind to one that ends.
            let first = letters[place..].iter().map(|letter| letter.1).find(|c| !is_mark(*c));
            let last = letters[..place].iter().rev().map(|letter| letter.1).find(|c| !is_mark(*c));
            let begins_with_mark = letters.get(place).is_some_and(|letter| is_mark(letter.1));
            if first.is_some_and(char::is_alphanumeric)
                && !(begins_with_mark && last.is_some_and(char::is_alphanumeric))
            {
                starts.push(at as u32);
            }
            ends[at] = last.is_some_and(char::is_alphanumeric);
        }
        if !never.is_empty() {
            for (at, _) in text.match_indices(never) {
                bytes[at] = WALL;
            }
        }
        Self::new(bytes, starts, ends)
    }

    fn new(bytes: Vec<u8>, starts: Vec<u32>, ends: Vec<bool>) -> Self {
        let mut gaps = vec![NEVER; bytes.len() + 1];
        for place in (0..=bytes.len()).rev() {
            gaps[place] = match bytes.get(place) {
                _ if ends[place] => 0,
                None | Some(&WALL) => NEVER,
                Some(_) => NEVER.min(gaps[place + 1] + 1),
            };
        }
        let farthest = gaps.iter().copied().filter(|gap| *gap < NEVER).max().unwrap_or(0);
        Self { bytes, starts, ends, gaps, farthest, least: OnceLock::new() }
    }

    /// How few tokens write a part from its beginning; [`NEVER`] where the vocabulary can't.
    pub(super) fn least(&self, vocabulary: &Vocabulary) -> u32 {
        let least = self.leasts(vocabulary);
        let of = |start: &u32| vocabulary.least_from(&self.bytes, *start as usize, least);
        self.starts.iter().map(of).min().unwrap_or(NEVER)
    }

    fn leasts(&self, vocabulary: &Vocabulary) -> &[u32] {
        self.least.get_or_init(|| vocabulary.least(&self.bytes, &self.ends))
    }

    /// Whether what was written is a whole part.
    fn is_whole(&self, places: &Places) -> bool {
        places.at.iter().any(|place| self.ends[*place as usize])
    }

    /// The tokens that lead on, so that at most `left` tokens, the end of text among them, are enough.
    pub(super) fn mask(&self, vocabulary: &Vocabulary, places: &Places, left: u32) -> Mask {
        let mut mask = vocabulary.none();
        if self.is_whole(places) {
            vocabulary.allow_end(&mut mask);
        }
        // Where every byte is a token, what is far enough from the limit can be written in any way.
        let is_free = vocabulary.is_complete && left > self.farthest + 2;
        let least = if is_free { None } else { Some(self.leasts(vocabulary)) };
        // This token, those to the part's end, the end of text.
        let fits = |place: usize| match least {
            None => self.gaps[place] < NEVER,
            Some(least) => least[place].saturating_add(2) <= left,
        };
        let mut follow = |from: u32, start: u32| {
            let mut node = from;
            for (end, byte) in (start as usize + 1..).zip(&self.bytes[start as usize..]) {
                match vocabulary.child(node, *byte).filter(|_| *byte != WALL) {
                    Some(child) => node = child,
                    None => break,
                }
                if !vocabulary.tokens(node).is_empty() && fits(end) {
                    vocabulary.allow(node, &mut mask);
                }
            }
        };
        places.at.iter().for_each(|place| follow(ROOT, *place));
        let mut blank = Vec::new();
        if let Some(most) = places.lead {
            let mut nodes = vec![(ROOT, 0)];
            while let Some((node, depth)) = nodes.pop() {
                self.starts.iter().for_each(|start| follow(node, *start));
                if depth > 0 {
                    blank.push(node);
                }
                if depth < most {
                    let next = BLANKS.iter().filter_map(|byte| vocabulary.child(node, *byte));
                    nodes.extend(next.map(|node| (node, depth + 1)));
                }
            }
        }
        if !blank.is_empty() && (is_free || self.least(vocabulary).saturating_add(2) <= left) {
            blank.into_iter().for_each(|node| vocabulary.allow(node, &mut mask));
        }
        mask
    }

    /// Where the part stands with these bytes behind it.
    pub(super) fn push(&self, places: &Places, bytes: &[u8]) -> Places {
        let mut places = places.clone();
        for byte in bytes {
            let goes_on = |place: &u32| (self.bytes.get(*place as usize) == Some(byte)).then_some(place + 1);
            let mut at: Vec<u32> = places.at.iter().filter_map(goes_on).collect();
            let mut lead = None;
            if let Some(most) = places.lead {
                at.extend(self.starts.iter().filter_map(goes_on));
                lead = most.checked_sub(1).filter(|_| BLANKS.contains(byte));
            }
            at.sort_unstable();
            at.dedup();
            places = Places { at, lead };
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part that a track allows.
    fn parts(track: &Track) -> Vec<String> {
        let mut found = Vec::new();
        for start in &track.starts {
            for end in *start as usize + 1..=track.bytes.len() {
                let part = &track.bytes[*start as usize..end];
                if !part.contains(&WALL) && track.ends[end] {
                    found.push(String::from_utf8(part.to_vec()).unwrap());
                }
            }
        }
        found
    }

    #[test]
    fn words_begin_and_end_where_words_do() {
        let of = |text: &str| parts(&Track::of_words(text, "|"));
        assert_eq!(
            of("a don't, (US$5)"),
            [
                "a",
                "a don't",
                "a don't,",
                "a don't, (US",
                "a don't, (US$",
                "a don't, (US$5",
                "a don't, (US$5)",
                "don't",
                "don't,",
                "don't, (US",
                "don't, (US$",
                "don't, (US$5",
                "don't, (US$5)",
                "(US",
                "(US$",
                "(US$5",
                "(US$5)",
                "US",
                "US$",
                "US$5",
                "US$5)",
                "5",
                "5)"
            ]
        );
        assert_eq!(of("in 北京"), ["in", "in 北", "in 北京", "北", "北京", "京"]);
        assert_eq!(of("a|b c"), ["a", "b", "b c", "c"]);
        assert!(of(" … ").is_empty());
    }
}
