//! What T5's tensors are called (transformers 5, `modeling_t5.py`), without `.weight`.

/// The embedding of encoder and decoder.
pub(crate) const EMBEDDING: &str = "shared";
/// The names under which files may hold the embedding instead, or besides.
pub(crate) const EMBEDDINGS: [&str; 3] = [EMBEDDING, "encoder.embed_tokens", "decoder.embed_tokens"];
/// The output head, where it is not the embedding.
pub(crate) const HEAD: &str = "lm_head";
/// How the tables of relative positions end.
pub(crate) const POSITIONS: &str = "relative_attention_bias";

/// One of the two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// What reads the prompt.
    Encoder,
    /// What writes the completion.
    Decoder,
}

impl Stack {
    fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }

    fn part(self, layer: usize, part: usize) -> String {
        format!("{}.block.{layer}.layer.{part}", self.name())
    }

    /// The place of the feed-forward layer among the parts of a block.
    fn last(self) -> usize {
        if self == Self::Encoder { 1 } else { 2 }
    }

    /// The attention within the stack.
    pub(crate) fn attention(self, layer: usize) -> String {
        format!("{}.SelfAttention", self.part(layer, 0))
    }

    /// The norm before it.
    pub(crate) fn attention_norm(self, layer: usize) -> String {
        format!("{}.layer_norm", self.part(layer, 0))
    }

    /// The decoder's attention to what the encoder read.
    pub(crate) fn cross_attention(self, layer: usize) -> Option<String> {
        (self == Self::Decoder).then(|| format!("{}.EncDecAttention", self.part(layer, 1)))
    }

    /// The norm before it.
    pub(crate) fn cross_norm(self, layer: usize) -> Option<String> {
        (self == Self::Decoder).then(|| format!("{}.layer_norm", self.part(layer, 1)))
    }

    /// The feed-forward layer.
    pub(crate) fn feed(self, layer: usize) -> String {
        format!("{}.DenseReluDense", self.part(layer, self.last()))
    }

    /// The norm before it.
    pub(crate) fn feed_norm(self, layer: usize) -> String {
        format!("{}.layer_norm", self.part(layer, self.last()))
    }

    /// The table of relative positions, which the first block has for all.
    pub(crate) fn positions(self) -> String {
        format!("{}.{POSITIONS}", self.attention(0))
    }

    /// The norm after the last block.
    pub(crate) fn norm(self) -> String {
        format!("{}.final_layer_norm", self.name())
    }
}
