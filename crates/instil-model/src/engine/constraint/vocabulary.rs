//! The tokens of a vocabulary as a trie of their bytes.

use instil::prompt::bonito::PIPE;

use crate::tokenizer::Tokenizer;

/// More tokens than any text takes: it can't be written.
pub(super) const NEVER: u32 = u32::MAX / 4;

/// Between texts, and where none may pass: no byte of UTF-8.
pub(super) const WALL: u8 = 0xff;

/// Where all tokens begin.
pub(super) const ROOT: u32 = 0;

/// Which token spells which bytes.
pub(in crate::engine) struct Vocabulary {
    tokenizer: Tokenizer,
    nodes: Vec<Node>,
    /// By edge: the byte, and where it leads. A node's edges are sorted.
    bytes: Vec<u8>,
    children: Vec<u32>,
    /// By node: the tokens that end there.
    tokens: Vec<u32>,
    /// How many logits a row has.
    width: usize,
    /// Whether each byte is a token too, so that any text can be written.
    pub(super) is_complete: bool,
}

#[derive(Clone, Copy, Default)]
struct Node {
    edges: (u32, u32),
    tokens: (u32, u32),
}

impl Vocabulary {
    /// The trie of a tokenizer's tokens, for rows of `width` logits; or why a completion can't be held to anything.
    pub(in crate::engine) fn of(tokenizer: &Tokenizer, width: usize) -> Result<Self, String> {
        Self::can_be_made(tokenizer)?;
        let len = tokenizer.vocab_size().min(width) as u32;
        let is_text = |token: &u32| !tokenizer.eos().contains(token);
        let mut sorted: Vec<(&[u8], u32)> = (0..len)
            .filter(is_text)
            .filter_map(|token| Some((tokenizer.token_bytes(token)?, token)))
            .filter(|(bytes, _)| !bytes.is_empty())
            .collect();
        sorted.sort_unstable();
        let mut vocabulary = Self {
            tokenizer: tokenizer.clone(),
            nodes: vec![Node::default()],
            bytes: Vec::new(),
            children: Vec::new(),
            tokens: Vec::with_capacity(sorted.len()),
            width,
            is_complete: false,
        };
        // Nodes whose edges aren't there yet, each with the tokens below it.
        let mut open = std::collections::VecDeque::from([(ROOT, 0_usize, sorted.as_slice())]);
        while let Some((node, depth, below)) = open.pop_front() {
            let ended = below.iter().take_while(|(bytes, _)| bytes.len() == depth).count();
            let (here, longer) = below.split_at(ended);
            let first_token = vocabulary.tokens.len() as u32;
            vocabulary.tokens.extend(here.iter().map(|(_, token)| *token));
            let first_edge = vocabulary.bytes.len() as u32;
            for group in longer.chunk_by(|(one, _), (two, _)| one[depth] == two[depth]) {
                // Nodes are fewer than the vocabulary's bytes, far below 2^32.
                let child = vocabulary.nodes.len() as u32;
                vocabulary.nodes.push(Node::default());
                vocabulary.bytes.push(group[0].0[depth]);
                vocabulary.children.push(child);
                open.push_back((child, depth + 1, group));
            }
            vocabulary.nodes[node as usize] = Node {
                edges: (first_edge, vocabulary.bytes.len() as u32),
                tokens: (first_token, vocabulary.tokens.len() as u32),
            };
        }
        vocabulary.is_complete = (0..=u8::MAX).all(|byte| vocabulary.spells(byte));
        Ok(vocabulary)
    }

    /// Why the completions of a tokenizer can't be held to anything, if so.
    pub(in crate::engine) fn can_be_made(tokenizer: &Tokenizer) -> Result<(), String> {
        if tokenizer.eos().is_empty() {
            return Err("the tokenizer has no token that ends a text".to_owned());
        }
        if !tokenizer.tells_bytes() {
            return Err("the tokenizer doesn't say which bytes its tokens are".to_owned());
        }
        Ok(())
    }

    /// Whether a tokenizer has tokens with each byte of the pipe.
    pub(in crate::engine) fn has_pipe(tokenizer: &Tokenizer) -> bool {
        let mut has = [false; 256];
        for token in 0..tokenizer.vocab_size() as u32 {
            tokenizer
                .token_bytes(token)
                .unwrap_or_default()
                .iter()
                .for_each(|byte| has[usize::from(*byte)] = true);
        }
        PIPE.bytes().all(|byte| has[usize::from(byte)])
    }

    /// Whether this byte is a token of its own.
    pub(super) fn spells(&self, byte: u8) -> bool {
        self.child(ROOT, byte).is_some_and(|node| !self.tokens(node).is_empty())
    }

    /// The bytes of a token.
    pub(super) fn bytes_of(&self, token: u32) -> &[u8] {
        self.tokenizer.token_bytes(token).unwrap_or_default()
    }

    /// Whether a blank at the head of a text is lost.
    pub(super) fn drops_blank(&self) -> bool {
        self.tokenizer.drops_blank()
    }

    /// Where a byte leads from a node.
    pub(super) fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let (from, to) = self.nodes[node as usize].edges;
        let edges = from as usize..to as usize;
        let place = self.bytes[edges.clone()].binary_search(&byte).ok()?;
        Some(self.children[edges.start + place])
    }

    /// The bytes that lead on from a node, and where to.
    pub(super) fn edges(&self, node: u32) -> impl Iterator<Item = (u8, u32)> {
        let (from, to) = self.nodes[node as usize].edges;
        let edges = from as usize..to as usize;
        self.bytes[edges.clone()].iter().copied().zip(self.children[edges].iter().copied())
    }

    /// The tokens that end at a node.
    pub(super) fn tokens(&self, node: u32) -> &[u32] {
        let (from, to) = self.nodes[node as usize].tokens;
        &self.tokens[from as usize..to as usize]
    }

    /// For each place of a text and its end, how few tokens spell what lies between it and the next of `ends`, or of a
    /// later one: 0 at an end, [`NEVER`] where none can be reached.
    pub(super) fn least(&self, text: &[u8], ends: &[bool]) -> Vec<u32> {
        let mut least = vec![NEVER; text.len() + 1];
        for place in (0..=text.len()).rev() {
            least[place] = match ends[place] {
                true => 0,
                false => self.least_from(text, place, &least),
            };
        }
        least
    }

    /// The fewest tokens from a place on, of which one at least is taken; `least` holds those of later places.
    pub(super) fn least_from(&self, text: &[u8], place: usize, least: &[u32]) -> u32 {
        let mut best = NEVER;
        let mut node = ROOT;
        for (end, byte) in (place + 1..).zip(&text[place..]) {
            match self.child(node, *byte).filter(|_| *byte != WALL) {
                Some(child) => node = child,
                None => break,
            }
            if !self.tokens(node).is_empty() {
                best = best.min(least[end].saturating_add(1));
            }
        }
        best
    }

    /// No token.
    pub(super) fn none(&self) -> Mask {
        Mask(vec![0; self.width.div_ceil(64)])
    }

    /// Allows the end of text.
    pub(super) fn allow_end(&self, mask: &mut Mask) {
        self.tokenizer.eos().iter().filter(|token| (**token as usize) < self.width).for_each(|token| {
            mask.allow(*token);
        });
    }

    /// Allows the tokens that end at a node.
    pub(super) fn allow(&self, node: u32, mask: &mut Mask) {
        self.tokens(node).iter().for_each(|token| mask.allow(*token));
    }
}

/// The tokens that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Mask(Vec<u64>);

impl Mask {
    fn allow(&mut self, token: u32) {
        self.0[token as usize / 64] |= 1 << (token % 64);
    }

    /// Whether a token may come.
    pub(in crate::engine) fn allows(&self, token: u32) -> bool {
        self.0.get(token as usize / 64).is_some_and(|bits| bits >> (token % 64) & 1 == 1)
    }

    /// Whether none may.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// The first of them.
    pub(in crate::engine) fn first(&self) -> Option<u32> {
        let (place, bits) = (0..).zip(&self.0).find(|(_, bits)| **bits != 0)?;
        Some(place * 64 + bits.trailing_zeros())
    }

    /// Takes the logits of all others for impossible.
    pub(in crate::engine) fn apply(&self, logits: &mut [f32]) {
        for (logits, bits) in logits.chunks_mut(64).zip(&self.0) {
            match *bits {
                u64::MAX => {}
                0 => logits.fill(f32::NEG_INFINITY),
                bits => (0..).zip(logits).for_each(|(bit, logit)| {
                    if bits >> bit & 1 == 0 {
                        *logit = f32::NEG_INFINITY;
                    }
                }),
            }
        }
    }
}
