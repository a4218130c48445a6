//! Which cache block belongs to whom.
//!
//! Full blocks of prompt tokens are known by the tokens they hold and all tokens before them, so that
//! samples of one prompt and prompts with a common head fill them once. A block whose last user has
//! gone keeps its content until its room is wanted.

use std::collections::{HashMap, VecDeque};

use crate::decoder::BLOCK;

/// The name of a head of tokens that ends with a full block.
type Head = [u8; 32];

/// The blocks of a cache.
pub(super) struct Blocks {
    slots: Vec<Slot>,
    by_head: HashMap<Head, u32>,
    /// Blocks that nobody uses, the longest unused first. One that was taken again since is skipped.
    unused: VecDeque<(u32, u64)>,
    free: usize,
    clock: u64,
    share: bool,
}

#[derive(Clone, Default)]
struct Slot {
    users: u32,
    /// The head that ends here, if it may be shared.
    head: Option<Head>,
    /// Whether the head's keys and values are there already.
    filled: bool,
    /// When it was last let go.
    stamp: u64,
}

/// What a prompt was given.
pub(super) struct Lease {
    /// The sequence's blocks from position 0 on.
    pub(super) blocks: Vec<u32>,
    /// How many positions are filled already.
    pub(super) filled: usize,
}

/// Why a prompt wasn't given its blocks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Another sequence is about to fill a block of its head.
    ForHead,
    /// There is no room.
    ForRoom,
}

impl Blocks {
    /// All blocks of a cache, unused. Without `share` no head is shared.
    pub(super) fn new(count: usize, share: bool) -> Self {
        // The number of blocks is bounded by memory: a block has some KiB at the least.
        let unused = (0..count as u32).map(|block| (block, 0)).collect();
        let slots = vec![Slot::default(); count];
        Self { slots, by_head: HashMap::new(), unused, free: count, clock: 0, share }
    }

    /// How many blocks a sequence of so many tokens takes.
    pub(super) fn of_tokens(tokens: usize) -> usize {
        tokens.div_ceil(BLOCK)
    }

    /// Blocks for a prompt and the `new` tokens that may follow it; heads that are there already are shared.
    ///
    /// The last token of a prompt is never taken as filled: its logits are wanted.
    pub(super) fn lease(&mut self, prompt: &[u32], new: usize) -> Result<Lease, Wait> {
        let heads = if self.share { heads(&prompt[..prompt.len().saturating_sub(1)]) } else { Vec::new() };
        let mut blocks = Vec::new();
        for head in &heads {
            match self.by_head.get(head) {
                Some(&block) if self.slots[block as usize].filled => blocks.push(block),
                Some(_) => return Err(Wait::ForHead),
                None => break,
            }
        }
        let shared = blocks.len();
        let idle = blocks.iter().filter(|block| self.slots[**block as usize].users == 0).count();
        let wanted = Self::of_tokens(prompt.len() + new);
        if wanted - shared > self.free - idle {
            return Err(Wait::ForRoom);
        }
        for block in &blocks {
            let slot = &mut self.slots[*block as usize];
            self.free -= usize::from(slot.users == 0);
            slot.users += 1;
        }
        for number in shared..wanted {
            let block = self.take();
            let head = heads.get(number).copied();
            self.slots[block as usize].head = head;
            if let Some(head) = head {
                self.by_head.insert(head, block);
            }
            blocks.push(block);
        }
        Ok(Lease { blocks, filled: shared * BLOCK })
    }

    /// An unused block, emptied.
    fn take(&mut self) -> u32 {
        loop {
            let (block, stamp) = self.unused.pop_front().expect("free blocks are in the queue");
            let slot = &mut self.slots[block as usize];
            if slot.users > 0 || slot.stamp != stamp {
                continue;
            }
            if let Some(head) = slot.head.take() {
                self.by_head.remove(&head);
            }
            *slot = Slot { users: 1, stamp, ..Slot::default() };
            self.free -= 1;
            return block;
        }
    }

    /// The first `positions` positions of a sequence are in the cache now.
    pub(super) fn fill(&mut self, blocks: &[u32], positions: usize) {
        for block in &blocks[..positions / BLOCK] {
            self.slots[*block as usize].filled = true;
        }
    }

    /// Gives a sequence's blocks back. What wasn't filled is forgotten.
    pub(super) fn release(&mut self, blocks: &[u32]) {
        self.clock += 1;
        // The end of a head goes first: without its beginning it is of no use.
        for block in blocks.iter().rev() {
            let slot = &mut self.slots[*block as usize];
            slot.users -= 1;
            if slot.users > 0 {
                continue;
            }
            if !slot.filled
                && let Some(head) = slot.head.take()
            {
                self.by_head.remove(&head);
            }
            slot.stamp = self.clock;
            self.free += 1;
            self.unused.push_back((*block, self.clock));
        }
        if self.unused.len() > 2 * self.slots.len() {
            let slots = &self.slots;
            self.unused.retain(|(block, stamp)| {
                let slot = &slots[*block as usize];
                slot.users == 0 && slot.stamp == *stamp
            });
        }
    }
}

/// The name of every full block of these tokens.
fn heads(tokens: &[u32]) -> Vec<Head> {
    let mut hasher = blake3::Hasher::new();
    tokens
        .chunks_exact(BLOCK)
        .map(|block| {
            for token in block {
                hasher.update(&token.to_le_bytes());
            }
            *hasher.finalize().as_bytes()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_common_head_is_filled_once() {
        let mut blocks = Blocks::new(8, true);
        let prompt: Vec<u32> = (0..40).collect();
        let one = blocks.lease(&prompt, 8).unwrap();
        assert_eq!((one.blocks.len(), one.filled), (3, 0));
        assert_eq!(blocks.lease(&prompt, 8).err(), Some(Wait::ForHead));
        blocks.fill(&one.blocks, 40);
        let two = blocks.lease(&prompt, 8).unwrap();
        assert_eq!((two.filled, &two.blocks[..2]), (32, &one.blocks[..2]));
        assert_ne!(two.blocks[2], one.blocks[2]);
        blocks.release(&one.blocks);
        blocks.release(&two.blocks);
        assert_eq!(blocks.free, 8);
        assert_eq!(blocks.lease(&prompt, 8).unwrap().filled, 32, "the content stays while there is room");
    }

    #[test]
    fn the_last_token_of_a_prompt_is_computed() {
        let mut blocks = Blocks::new(8, true);
        let prompt: Vec<u32> = (0..32).collect();
        let one = blocks.lease(&prompt, 1).unwrap();
        blocks.fill(&one.blocks, 32);
        assert_eq!(blocks.lease(&prompt, 1).unwrap().filled, 16);
    }

    #[test]
    fn a_head_that_was_broken_off_is_not_waited_for() {
        let mut blocks = Blocks::new(4, true);
        let prompt: Vec<u32> = (0..20).collect();
        let one = blocks.lease(&prompt, 1).unwrap();
        blocks.release(&one.blocks);
        assert_eq!(blocks.lease(&prompt, 1).unwrap().filled, 0);
    }

    proptest! {
        /// No block is given to two sequences unless both have the same tokens there, and none is lost.
        #[test]
        fn blocks_are_never_mixed_up(steps in proptest::collection::vec((0_u32..4, 1_usize..70, any::<bool>()), 1..60)) {
            let mut blocks = Blocks::new(12, true);
            let mut held: Vec<(Vec<u32>, Lease)> = Vec::new();
            for (kind, len, drop) in steps {
                if drop && !held.is_empty() {
                    let (_, lease) = held.remove(len % held.len());
                    blocks.release(&lease.blocks);
                } else {
                    // Few kinds of prompts with common heads.
                    let prompt: Vec<u32> = (0..len as u32).map(|place| place / 20 * kind).collect();
                    if let Ok(lease) = blocks.lease(&prompt, 5) {
                        blocks.fill(&lease.blocks, prompt.len());
                        held.push((prompt, lease));
                    }
                }
                let used: std::collections::HashSet<u32> =
                    held.iter().flat_map(|(_, lease)| lease.blocks.iter().copied()).collect();
                prop_assert_eq!(used.len() + blocks.free, 12);
                for (one, lease) in &held {
                    for (two, other) in &held {
                        for (place, (a, b)) in lease.blocks.iter().zip(&other.blocks).enumerate() {
                            let end = (place + 1) * BLOCK;
                            if a == b && !std::ptr::eq(lease, other) {
                                prop_assert_eq!(one.get(..end), two.get(..end));
                            }
                        }
                    }
                }
            }
        }
    }
}
