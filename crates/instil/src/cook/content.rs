//! What a template makes: lists of tokens in slots, before any format gives them words around.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Error;

/// The most slots of a template.
pub const SLOTS: usize = 8;

/// The parts of one sample. A slot holds items, an item is a list of tokens: a document is a slot of one item, options
/// are a slot of several.
///
/// It is filled slot by slot and used again for the next sample, so that nothing is allocated for a sample.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// All tokens. What is pushed here becomes an item with [`Content::close`].
    pub tokens: Vec<u32>,
    /// Room for what a template works with.
    pub scratch: Vec<u32>,
    /// More of it.
    pub spare: Vec<u32>,
    /// What a report counts.
    pub facts: Facts,
    /// Why nothing could be made, where that is no matter of chance: a script's fault.
    pub fault: Option<Arc<Error>>,
    items: Vec<(u32, u32)>,
    slots: [(u32, u32); SLOTS],
    /// Where the item begins that is being filled.
    open: usize,
    slot: usize,
}

/// What is known of a sample from its making. Reports count it; no verifier sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The class or the place of the right option, and how many there are.
    pub choice: Option<(u32, u32)>,
    /// Where in the input the answer is, and how long that input is.
    pub place: Option<(u32, u32)>,
}

impl Content {
    /// Forgets everything, and begins with slot 0.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.scratch.clear();
        self.spare.clear();
        self.items.clear();
        self.facts = Facts::default();
        self.fault = None;
        self.slots = [(0, 0); SLOTS];
        self.open = 0;
        self.slot = 0;
    }

    /// Begins a slot: the items closed from now on are its. A slot is begun once in a sample.
    ///
    /// # Panics
    /// When there is no such slot.
    pub fn begin(&mut self, slot: usize) {
        assert!(slot < SLOTS, "a template has at most {SLOTS} slots");
        let at = self.items.len() as u32;
        self.slots[slot] = (at, at);
        self.slot = slot;
        self.open = self.tokens.len();
    }

    /// Makes an item of the tokens that were pushed since the last one, and returns where they are.
    pub fn close(&mut self) -> Range<usize> {
        let item = self.open..self.tokens.len();
        self.items.push((item.start as u32, item.end as u32));
        self.slots[self.slot].1 = self.items.len() as u32;
        self.open = self.tokens.len();
        item
    }

    /// A slot of one item with these tokens.
    pub fn put(&mut self, slot: usize, tokens: &[u32]) {
        self.begin(slot);
        self.tokens.extend_from_slice(tokens);
        self.close();
    }

    /// A slot of one item with the tokens that stand here already.
    pub fn copy(&mut self, slot: usize, range: Range<usize>) {
        self.begin(slot);
        self.tokens.extend_from_within(range);
        self.close();
    }

    /// The items of a slot, each as the range of its tokens.
    pub fn ranges(&self, slot: usize) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        let (from, to) = self.slots[slot];
        self.items[from as usize..to as usize].iter().map(|(from, to)| *from as usize..*to as usize)
    }

    /// The items of a slot.
    pub fn items(&self, slot: usize) -> impl ExactSizeIterator<Item = &[u32]> + '_ {
        self.ranges(slot).map(|range| &self.tokens[range])
    }

    /// The tokens of the first item of a slot; none if it has no item.
    pub fn first(&self, slot: usize) -> &[u32] {
        self.items(slot).next().unwrap_or_default()
    }
}
