//! What code can check of an example before it is kept (spec/peers.md 3.6).
//!
//! Each check gives one [`Reason`]; [`check`] calls those that make sense for the kind of task.

mod answers;
mod labels;
pub mod numbers;
mod options;
pub mod words;

pub use answers::{Answers, answers};
use labels::{SAME, THREE_WAY, TWO_WAY, YES_NO, is_label};
use words::{occurs, squash};

use crate::parse::{Asked, Parsed};
use crate::reject::Reason;
use crate::task::TaskKind;

/// Checks an example against its passage.
///
/// # Errors
/// The first checking [`Reason`] that applies.
pub fn check(parsed: &Parsed, asked: Asked<'_>) -> Result<(), Reason> {
    use TaskKind::*;
    let Parsed { instruction, response, ask, .. } = parsed;
    let fail_unless = |holds: bool, reason| if holds { Ok(()) } else { Err(reason) };

    let said = squash(response);
    fail_unless(said != squash(ask) && said != squash(instruction), Reason::QuestionIsAnswer)?;

    match asked.kind {
        Exqa => fail_unless(occurs(response, asked.passage), Reason::AnswerNotInText)?,
        Ynqa => fail_unless(is_label(response, "", &YES_NO), Reason::NotYesNo)?,
        Mcqa => fail_unless(options::answers_one(response, ask), Reason::NotAnOption)?,
        Nli => fail_unless(is_label(response, ask, &THREE_WAY), Reason::NotALabel)?,
        Te => fail_unless(
            is_label(response, ask, &TWO_WAY) || is_label(response, ask, &THREE_WAY),
            Reason::NotALabel,
        )?,
        ParaphraseId | Wsd => fail_unless(is_label(response, ask, &SAME), Reason::NotALabel)?,
        TopicClass | Sentiment => fail_unless(
            asked.labels.is_empty() || asked.labels.iter().any(|label| label == response),
            Reason::NotALabel,
        )?,
        Summarization => {
            fail_unless(response.chars().count() < asked.passage.trim().chars().count(), Reason::NotShorter)?;
        }
        Qg | Qa | Coref | Paraphrase | SentComp | TextGen => {}
    }
    if matches!(asked.kind, Exqa | Qa | Qg | Summarization) {
        fail_unless(!given_away(&said, ask), Reason::GivenAway)?;
    }
    if matches!(asked.kind, Qa | Qg | Summarization | SentComp | Paraphrase) {
        fail_unless(
            numbers::altered(response, &[asked.passage, instruction]).is_none(),
            Reason::NumberNotInText,
        )?;
    }
    Ok(())
}

/// Whether what is asked holds the whole answer. One or two letters are no answer that could be given away.
fn given_away(said: &str, ask: &str) -> bool {
    said.trim().len() > 2 && squash(ask).contains(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::bonito;

    const TEXT: &str = "The lease runs for 24 months from 1 May. The tenant pays 900 euros a month.";

    fn verdict(kind: TaskKind, text: &str, labels: &[&str]) -> Result<(), Reason> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let asked = Asked { kind, passage: TEXT, labels: &labels };
        check(&bonito(&format!("{{{{context}}}}\n{text}"), false, asked).unwrap(), asked)
    }

    #[test]
    fn each_reason_has_its_text() {
        use Reason::*;
        use TaskKind::*;
        let cases: &[(TaskKind, &str, Reason)] = &[
            (Exqa, "How long?<|pipe|>36 months", AnswerNotInText),
            (Ynqa, "Is there a tenant?<|pipe|>It depends", NotYesNo),
            (Nli, "Statement: it is long. Label?<|pipe|>Positive", NotALabel),
            (Nli, "Entailment, neutral or contradiction?<|pipe|>yes", NotALabel),
            (Te, "Does it follow?<|pipe|>perhaps", NotALabel),
            (ParaphraseId, "Same?<|pipe|>similar", NotALabel),
            (Mcqa, "How long?\n- 12 months\n- 24 months<|pipe|>36 months", NotAnOption),
            (Mcqa, "How long?\n- 24 months\n- 24 months<|pipe|>24 months", NotAnOption),
            (Exqa, "Is it 24 months or more?<|pipe|>24 months", GivenAway),
            (Qa, "How much is it?<|pipe|>It is 950 euros.", NumberNotInText),
            (Qa, "How much is it?<|pipe|>How much is it", QuestionIsAnswer),
            (
                Summarization,
                "Sum it up.<|pipe|>The lease runs for 24 months from 1 May, and the tenant pays 900 euros a month.",
                NotShorter,
            ),
        ];
        for (kind, text, reason) in cases {
            assert_eq!(verdict(*kind, text, &[]), Err(*reason), "{kind:?} {text}");
        }
        assert_eq!(verdict(TopicClass, "Topic?<|pipe|>Law", &["Sports", "World"]), Err(NotALabel));
    }

    #[test]
    fn good_rows_pass() {
        use TaskKind::*;
        for (kind, text) in [
            (Exqa, "How long does the lease run?<|pipe|>24 Months"),
            (Ynqa, "Is the rent paid monthly?<|pipe|>Yes."),
            (Nli, "It runs for two years. True, false or inconclusive?<|pipe|>True"),
            (Te, "Does it follow that a tenant pays?<|pipe|>yes"),
            (Mcqa, "How long?\nA) 12 months\nB) 24 months<|pipe|>B"),
            (Qa, "How much is the rent?<|pipe|>900 euros"),
            (Qg, "Write a question.<|pipe|>Who pays 900 euros?"),
            (Summarization, "Sum it up.<|pipe|>A lease of 24 months at 900 euros."),
            (Sentiment, "Is it nice?<|pipe|>whatever"),
        ] {
            assert_eq!(verdict(kind, text, &[]), Ok(()), "{kind:?} {text}");
        }
        assert_eq!(verdict(TopicClass, "Topic?<|pipe|>world", &["Sports", "World"]), Ok(()));
    }
}
