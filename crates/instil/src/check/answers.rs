//! Which responses an instruction can have: the other side of [`check`](super::check).

use super::labels::{self, SAME, THREE_WAY, TWO_WAY, YES_NO};
use super::options;
use super::words::squash;
use crate::task::TaskKind;

/// The responses that can be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Any text.
    Any,
    /// One of these.
    OneOf(Vec<String>),
    /// Words of this text, one after the other.
    WordsOf(String),
}

/// The responses that can be right for a task of this kind, as far as code can say: what is no such response is
/// refused by [`check`](super::check).
///
/// `ask` is the instruction without the passage; `labels` are the user's.
///
/// ```
/// use instil::{TaskKind, check::{Answers, answers}};
/// let asked = answers(TaskKind::Nli, "It rains. True, False or Neither?", "It is dry.", &[]);
/// assert_eq!(asked, Answers::OneOf(["True", "False", "Neither"].map(str::to_owned).to_vec()));
/// ```
pub fn answers(kind: TaskKind, ask: &str, passage: &str, labels: &[String]) -> Answers {
    use TaskKind::*;
    let one_of = |found: Vec<String>| if found.is_empty() { Answers::Any } else { Answers::OneOf(found) };
    let words_of = |text: &str| match squash(text).trim() {
        "" => Answers::Any,
        _ => Answers::WordsOf(text.to_owned()),
    };
    match kind {
        Exqa => words_of(passage),
        Ynqa => one_of(labels::answers(ask, &YES_NO)),
        Nli => one_of(labels::answers(ask, &THREE_WAY)),
        Te => one_of(labels::answers(ask, &[&TWO_WAY[..], &THREE_WAY].concat())),
        ParaphraseId | Wsd => one_of(labels::answers(ask, &SAME)),
        TopicClass | Sentiment => one_of(labels.to_vec()),
        Mcqa => match options::answers(ask) {
            None => words_of(ask),
            Some(options) => one_of(options),
        },
        Qg | Qa | Coref | Paraphrase | SentComp | TextGen | Summarization => Answers::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::parse::{Asked, bonito};
    use crate::reject::Reason;

    const TEXT: &str = "The lease runs for 24 months from 1 May. The tenant pays 900 euros a month.";

    /// Whatever is offered passes the check of its kind.
    #[test]
    fn what_is_offered_is_not_refused() {
        let labels = ["World".to_owned(), "Sports".to_owned()];
        for ask in [
            "What follows?",
            "Does it follow? Yes, no, or maybe?",
            "Same or different?",
            "Is it TRUE or False?",
            "Which?\n- 12 months\n- 24 Months",
            "Which? A. a cat B. a dog",
            "Was it a cat or a dog?",
            "entailment or not entailment",
        ] {
            for kind in TaskKind::ALL {
                let Answers::OneOf(offered) = answers(kind, ask, TEXT, &labels) else { continue };
                for response in offered {
                    let asked = Asked { kind, passage: TEXT, labels: &labels };
                    let text = format!("{{{{context}}}}\n{ask}<|pipe|>{response}");
                    let verdict = check(&bonito(&text, false, asked).unwrap(), asked);
                    assert!(
                        matches!(verdict, Ok(()) | Err(Reason::GivenAway)),
                        "{kind:?}: {ask} / {response}: {verdict:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn labels_are_spelt_as_the_instruction_spells_them() {
        let of = |ask: &str| answers(TaskKind::Ynqa, ask, TEXT, &[]);
        let one_of =
            |labels: &[&str]| Answers::OneOf(labels.iter().map(|label| (*label).to_owned()).collect());
        assert_eq!(of("Is it TRUE or False? I know not."), one_of(&["TRUE", "False"]));
        assert_eq!(of("Is it so?"), one_of(&["yes", "Yes", "no", "No", "true", "True", "false", "False"]));
    }

    #[test]
    fn extractive_answers_are_words_of_the_passage() {
        assert_eq!(answers(TaskKind::Exqa, "How long?", TEXT, &[]), Answers::WordsOf(TEXT.to_owned()));
        assert_eq!(answers(TaskKind::Exqa, "How long?", " … ", &[]), Answers::Any);
        assert_eq!(
            answers(TaskKind::Mcqa, "A cat or a dog?", TEXT, &[]),
            Answers::WordsOf("A cat or a dog?".into())
        );
        assert_eq!(answers(TaskKind::Qa, "How long?", TEXT, &[]), Answers::Any);
    }
}
