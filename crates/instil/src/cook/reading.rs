//! A sample as it is read: words and marks, nothing of how it was made. It is all that verifiers see.

use super::content::SLOTS;

/// The slots of a sample, each with its items, each a list of words and marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading<'a> {
    slots: [Option<Vec<Vec<&'a str>>>; SLOTS],
    wanted: usize,
}

impl<'a> Reading<'a> {
    /// Says that a slot is there, though it may have no item.
    pub(super) fn open(&mut self, slot: usize) {
        self.slots[slot].get_or_insert_default();
    }

    /// Adds an item to a slot.
    pub fn push(&mut self, slot: usize, item: Vec<&'a str>) {
        self.slots[slot].get_or_insert_default().push(item);
    }

    /// Whether the slot was in the text.
    pub fn has(&self, slot: usize) -> bool {
        self.slots[slot].is_some()
    }

    /// The items of a slot; none if it wasn't in the text.
    pub fn items(&self, slot: usize) -> &[Vec<&'a str>] {
        self.slots[slot].as_deref().unwrap_or_default()
    }

    /// The words of the first item of a slot.
    pub fn first(&self, slot: usize) -> &[&'a str] {
        self.items(slot).first().map(Vec::as_slice).unwrap_or_default()
    }

    /// The slot that was taken out: what is to be answered.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// Takes a slot out, as the answer is before a model sees the rest.
    pub fn take(&mut self, slot: usize) -> Vec<Vec<&'a str>> {
        self.wanted = slot;
        self.slots[slot].take().unwrap_or_default()
    }
}

/// The words of a text, and its marks each by itself.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for mut word in text.split_whitespace() {
        let start = words.len();
        while let Some(mark) = word.char_indices().next_back().filter(|(_, last)| ".,:;?!".contains(*last)) {
            words.push(&word[mark.0..]);
            word = &word[..mark.0];
        }
        if !word.is_empty() {
            words.push(word);
        }
        words[start..].reverse();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_parted_from_words() {
        assert_eq!(
            words(" tol bes. kip: vo,\n_ a-b's .:"),
            ["tol", "bes", ".", "kip", ":", "vo", ",", "_", "a-b's", ".", ":"]
        );
        assert!(words(" \n").is_empty());
    }
}
