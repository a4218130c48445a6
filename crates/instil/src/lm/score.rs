//! How likely a text is to a model: what is asked, and what comes back.

/// A text to be scored after a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scored {
    /// What is given. The tokenizer's own BOS goes first.
    pub prompt: String,
    /// What is scored.
    pub completion: String,
    /// Whether the end of text is scored after it.
    pub eos: bool,
    /// Whether prompt and completion are encoded each on its own, as Bonito's rank classification does
    /// (spec/bonito.md 5.3). Otherwise they are encoded together, and the completion's tokens are those after as
    /// many as the prompt alone has.
    pub apart: bool,
}

/// How likely a completion is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The sum of the negative log-likelihoods of the completion's tokens, in nats.
    pub nll: f64,
    /// How many tokens that are.
    pub tokens: usize,
    /// Whether each of them was the likeliest there, so that the completion is what greedy decoding gives; none where
    /// the model doesn't tell.
    pub greedy: Option<bool>,
    /// Whether each was scored with all that precedes it. In a text longer than the window, a token has at least
    /// half a window before it.
    pub whole: bool,
}

/// How much of the texts that were scored was computed. Heads that several texts have in common are computed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Prefill {
    /// The texts' tokens without the last of each, after which nothing is predicted.
    pub given: u64,
    /// Those of them that were computed; the others were in the cache.
    pub computed: u64,
}

impl Prefill {
    /// What came since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { given: self.given - earlier.given, computed: self.computed - earlier.computed }
    }

    /// Tokens that sharing saved.
    pub fn saved(self) -> u64 {
        self.given - self.computed
    }
}

/// What came of a text that was to be scored.
#[derive(Clone, Debug, PartialEq)]
pub enum Scoring {
    /// It was scored.
    Score(Score),
    /// This one text is refused for good; the message says why.
    Refused(String),
    /// Every attempt failed; asking again later may help. It is not remembered.
    Failed(String),
}

impl Scoring {
    /// The score, if there is one.
    pub fn score(&self) -> Option<Score> {
        match self {
            Self::Score(score) => Some(*score),
            Self::Refused(_) | Self::Failed(_) => None,
        }
    }
}

/// How many texts are given to [`LanguageModel::score`](super::LanguageModel::score) at once: enough that an engine's
/// batches and an endpoint's calls are full, few enough that a kill costs little.
pub const TEXTS: usize = 64;
