//! Passages to prompts: Bonito's own form, and one for ordinary instruction models.

pub mod bonito;
pub mod instruct;

use std::sync::Arc;

use crate::error::{Error, Result, nearest};
use crate::lm::{Constraint, Input, Pair};
use crate::task::TaskKind;

/// How a passage is put to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As the published Bonito models were trained.
    Bonito,
    /// As an ordinary instruction model can follow: task, rules, two demonstrations, a JSON answer.
    Instruct,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 2] = [Self::Bonito, Self::Instruct];

    /// The name, as in `--prompt bonito`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bonito => "bonito",
            Self::Instruct => "instruct",
        }
    }

    /// The style of this name.
    ///
    /// # Errors
    /// When there is none; the hint says which there are.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|style| style.name() == name).ok_or_else(|| {
            let near = nearest(name, Self::ALL.map(Self::name)).unwrap_or("bonito");
            Error::usage(format!("unknown prompt style `{name}`"))
                .with_hint(format!("did you mean `{near}`? There are `bonito` and `instruct`"))
        })
    }

    /// Name and version of the wording, as the provenance keeps it.
    pub fn template(self) -> &'static str {
        match self {
            Self::Bonito => "bonito",
            Self::Instruct => instruct::VERSION,
        }
    }

    /// What the model is given for `kind` over `passage`.
    ///
    /// `labels` go behind the passage in Bonito's form, as its authors advise (spec/bonito.md 8.1, thread 39).
    pub fn input(self, kind: TaskKind, passage: &str, labels: &[String]) -> Input {
        match self {
            Self::Bonito if takes_labels(kind) && !labels.is_empty() => {
                let context = format!("{}\n\nChoices: {}", bonito::python_strip(passage), labels.join(", "));
                Input::Prompt(bonito::prompt(kind, &context))
            }
            Self::Bonito => Input::Prompt(bonito::prompt(kind, passage)),
            Self::Instruct => Input::Messages(instruct::messages(kind, passage, labels)),
        }
    }

    /// The answers that are right for `kind`, or none where any is: the user's labels, or those that the
    /// wording names.
    pub fn labels(self, kind: TaskKind, given: &[String]) -> Vec<String> {
        match (self, kind) {
            (_, kind) if !takes_labels(kind) => Vec::new(),
            (Self::Instruct, TaskKind::Sentiment) if given.is_empty() => {
                instruct::SENTIMENT_LABELS.map(str::to_owned).to_vec()
            }
            _ => given.to_vec(),
        }
    }

    /// What the completion has to look like; `constrain` asks for more than the style itself does.
    pub fn constraint(self, kind: TaskKind, passage: &str, labels: &[String], constrain: bool) -> Constraint {
        let labels = self.labels(kind, labels);
        match self {
            Self::Bonito if constrain => {
                Constraint::Pair(Arc::new(Pair { kind, passage: passage.to_owned(), labels }))
            }
            Self::Bonito => Constraint::Free,
            Self::Instruct if constrain => {
                Constraint::JsonSchema(instruct::schema_of(instruct::responses(kind, &labels)))
            }
            Self::Instruct => Constraint::JsonSchema(instruct::schema()),
        }
    }
}

/// Whether the labels of `--labels` are the answers of this kind of task.
pub fn takes_labels(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::TopicClass | TaskKind::Sentiment)
}
