//! Prompts that an encoder reads: once each, however many completions are made of one.

use std::sync::Arc;

use candle_core::Result;

use super::blocks::{Blocks, Wait};
use crate::decoder::Cache;
use crate::t5::{Source, T5};

/// The prompts of the completions under way.
#[derive(Default)]
pub(super) struct Sources {
    held: Vec<Held>,
}

struct Held {
    tokens: Arc<[u32]>,
    blocks: Vec<u32>,
    is_read: bool,
}

impl Sources {
    /// Takes room for a prompt, unless it is here already; gives how many of its tokens are still to be read.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) fn hold(
        &mut self,
        source: &Arc<[u32]>,
        blocks: &mut Blocks,
    ) -> std::result::Result<usize, Wait> {
        if let Some(held) = self.held.iter().find(|held| Arc::ptr_eq(&held.tokens, source)) {
            return Ok(if held.is_read { 0 } else { held.tokens.len() });
        }
        // Each of its tokens sees all others, so that no head of it is what another prompt's is.
        let lease = blocks.lease(&source[..1], source.len() - 1)?;
        self.held.push(Held { tokens: Arc::clone(source), blocks: lease.blocks, is_read: false });
        Ok(source.len())
    }

    /// Has the encoder read all that it hasn't yet.
    ///
    /// # Errors
    /// When shapes don't fit, which is a mistake of this crate.
    pub(super) fn read(&mut self, t5: &T5, cache: &mut Cache) -> Result<()> {
        let unread: Vec<Source<'_>> =
            self.held.iter().filter(|held| !held.is_read).map(Held::source).collect();
        t5.encode(&unread, cache)?;
        self.held.iter_mut().for_each(|held| held.is_read = true);
        Ok(())
    }

    /// A prompt that is held.
    pub(super) fn of(&self, source: &Arc<[u32]>) -> Option<Source<'_>> {
        self.held.iter().find(|held| Arc::ptr_eq(&held.tokens, source)).map(Held::source)
    }

    /// Gives back the room of prompts that no completion waits for any more.
    pub(super) fn release_unused(&mut self, blocks: &mut Blocks) {
        self.held.retain(|held| {
            let is_used = Arc::strong_count(&held.tokens) > 1;
            if !is_used {
                blocks.release(&held.blocks);
            }
            is_used
        });
    }
}

impl Held {
    fn source(&self) -> Source<'_> {
        Source { tokens: &self.tokens, blocks: &self.blocks }
    }
}
