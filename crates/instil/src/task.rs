//! The 16 kinds of task that a generator can be asked for (spec/bonito.md 1.1).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};

macro_rules! kinds {
    ($($variant:ident $short:literal $full:literal $about:literal;)*) => {
        /// What the generator is asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TaskKind { $(#[doc = $about] $variant,)* }

        impl TaskKind {
            /// Every kind, in the order of the published table.
            pub const ALL: [Self; 16] = [$(Self::$variant,)*];

            /// The short name, as in `--task exqa`.
            pub fn short(self) -> &'static str {
                match self { $(Self::$variant => $short,)* }
            }

            /// The full name: the words that go into the prompt.
            pub fn full(self) -> &'static str {
                match self { $(Self::$variant => $full,)* }
            }

            /// What a row of this kind is, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

kinds! {
    Exqa "exqa" "extractive question answering" "A question whose answer is a piece of the text.";
    Mcqa "mcqa" "multiple-choice question answering" "A question with options, one of them right.";
    Qg "qg" "question generation" "The response is a question about the text.";
    Qa "qa" "question answering without choices" "A question answered in the answerer's own words.";
    Ynqa "ynqa" "yes-no question answering" "A question that the text answers with yes or no.";
    Coref "coref" "coreference resolution" "Who or what an expression in the text stands for.";
    Paraphrase "paraphrase" "paraphrase generation" "The response says the text in other words.";
    ParaphraseId "paraphrase_id" "paraphrase identification" "Whether two texts say the same.";
    SentComp "sent_comp" "sentence completion" "The response completes what the text begins.";
    Sentiment "sentiment" "sentiment" "What feeling the text expresses.";
    Summarization "summarization" "summarization" "The response says the text in short.";
    TextGen "text_gen" "text generation" "The response is a text made to order.";
    TopicClass "topic_class" "topic classification" "What the text is about, out of a set of labels.";
    Wsd "wsd" "word sense disambiguation" "Whether a word means the same in two places.";
    Te "te" "textual entailment" "Whether a statement follows from the text: two labels.";
    Nli "nli" "natural language inference" "Whether a statement follows, conflicts or neither: three labels.";
}

impl TaskKind {
    /// The kind of this full or short name; full names are looked up first, case matters.
    ///
    /// # Errors
    /// When no kind has that name; the hint says the nearest one.
    ///
    /// ```
    /// use instil::TaskKind;
    /// assert_eq!(TaskKind::parse("natural language inference")?, TaskKind::Nli);
    /// assert_eq!(TaskKind::parse("nli")?, TaskKind::Nli);
    /// assert_eq!(TaskKind::parse("nly").unwrap_err().hint(), Some("did you mean `nli`? `instil list tasks` shows them all"));
    /// # Ok::<(), instil::Error>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self> {
        let by = |of: fn(Self) -> &'static str| Self::ALL.into_iter().find(|kind| of(*kind) == name);
        by(Self::full).or_else(|| by(Self::short)).ok_or_else(|| {
            let names = Self::ALL.iter().flat_map(|kind| [kind.short(), kind.full()]);
            let hint = match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`? `instil list tasks` shows them all"),
                None => "`instil list tasks` shows them all".to_owned(),
            };
            Error::usage(format!("unknown task kind `{name}`")).with_hint(hint)
        })
    }
}

/// What an example teaches: one of the 16 kinds, or something that only its dataset's name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Task {
    /// One of the 16.
    Kind(TaskKind),
    /// Something else, by the key of the dataset.
    Named(Arc<str>),
}

impl Task {
    /// The short name of the kind, or the dataset's key.
    pub fn short(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.short(),
            Self::Named(name) => name,
        }
    }

    /// The full name of the kind, or the dataset's key.
    pub fn full(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.full(),
            Self::Named(name) => name,
        }
    }

    /// The kind, where it is one of the 16.
    pub fn kind(&self) -> Option<TaskKind> {
        match self {
            Self::Kind(kind) => Some(*kind),
            Self::Named(_) => None,
        }
    }
}

impl From<TaskKind> for Task {
    fn from(kind: TaskKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<String> for Task {
    fn from(name: String) -> Self {
        match TaskKind::ALL.into_iter().find(|kind| kind.short() == name) {
            Some(kind) => Self::Kind(kind),
            None => Self::Named(name.into()),
        }
    }
}

impl From<Task> for String {
    fn from(task: Task) -> Self {
        task.short().to_owned()
    }
}
