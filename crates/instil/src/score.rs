//! Rows of prompts and completions to how likely the completions are.
//!
//! `{"id", "prompt", "completion"}` comes in, `{"id", "nll_nats", "tokens", "bytes"}` goes out, in the same order. What
//! is derived of many rows is derived of sums: nats and tokens are added first and divided once.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::journal::{self, Journal};
use crate::lm::score::TEXTS;
use crate::lm::{LanguageModel, Scored, Scoring};
use crate::record::Row;
use crate::reject::{Reason, Reject};
use crate::rows::Object;

/// How rows are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the end of text is scored after each completion.
    pub eos: bool,
    /// Whether prompt and completion are encoded each on its own.
    pub apart: bool,
}

/// What came of the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were scored.
    pub scored: u64,
    /// The sum of the negative log-likelihoods of their completions, in nats.
    pub nll_nats: f64,
    /// The tokens of their completions.
    pub tokens: u64,
    /// The bytes of their completions.
    pub bytes: u64,
    /// Those longer than the model's window, of which a token may not have been scored with all that precedes it.
    pub beyond_window: u64,
    /// Rows that were not scored, by reason.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Rows whose every attempt failed; asking again later may help.
    pub failed: u64,
}

impl Summary {
    /// Nats a token; none without a token.
    pub fn nats_per_token(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.nll_nats / self.tokens as f64)
    }

    /// The perplexity of a token: e to the power of the nats a token.
    pub fn perplexity(&self) -> Option<f64> {
        self.nats_per_token().map(f64::exp)
    }

    /// Bits a byte, which can be compared between tokenizers.
    pub fn bits_per_byte(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.nll_nats / std::f64::consts::LN_2 / self.bytes as f64)
    }

    /// The sums and what is derived of them.
    pub fn to_json(&self) -> Value {
        let mut object = serde_json::to_value(self).expect("a summary is plain values");
        object["nats_per_token"] = json!(self.nats_per_token());
        object["perplexity"] = json!(self.perplexity());
        object["bits_per_byte"] = json!(self.bits_per_byte());
        object
    }
}

/// What a row became.
pub enum Outcome {
    /// A line of the output.
    Scored(Object),
    /// It was not scored.
    Reject(Reject),
}

/// Scores rows, and hands each outcome to `take` in their order. Whether all were; otherwise `watch` broke off, which it is
/// asked after each batch.
///
/// # Errors
/// When the model gives no scores or can't be used, no row has a prompt and a completion, or `take` fails.
pub fn rows(
    rows: impl Iterator<Item = Result<Row, Reject>>,
    model: &dyn LanguageModel,
    journal: Option<&Journal>,
    options: Options,
    take: &mut dyn FnMut(Outcome) -> Result<()>,
    watch: &mut dyn FnMut(&Summary) -> ControlFlow<()>,
) -> Result<(Summary, bool)> {
    let mut summary = Summary::default();
    let mut columns: Option<Vec<String>> = None;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let mut batch: Vec<Result<Text, Reject>> = Vec::with_capacity(TEXTS);
        for row in rows.by_ref().take(TEXTS) {
            if let Ok(row) = &row {
                columns.get_or_insert_with(|| row.fields.keys().cloned().collect());
            }
            batch.push(row.and_then(|row| Text::of(row, options)));
        }
        let texts: Vec<Scored> = batch.iter().flatten().map(|text| text.scored.clone()).collect();
        let mut scored = match texts.is_empty() {
            true => Vec::new(),
            false => journal::scores(model, journal, &texts)?,
        }
        .into_iter();
        for item in batch {
            summary.rows += 1;
            let outcome = match item {
                Err(reject) => Outcome::Reject(reject),
                Ok(text) => text.outcome(scored.next().expect("every text has an outcome"), &mut summary),
            };
            if let Outcome::Reject(reject) = &outcome {
                *summary.rejects.entry(reject.reason.word()).or_default() += 1;
            }
            take(outcome)?;
        }
        if watch(&summary).is_break() {
            return Ok((summary, rows.peek().is_none()));
        }
    }
    let missing = summary.rejects.get(Reason::MissingColumn.word()).copied().unwrap_or(0);
    if missing > 0 && missing == summary.rows {
        let columns = columns.unwrap_or_default().join("`, `");
        return Err(Error::input("no row has both a `prompt` and a `completion`")
            .because(format!("the first row has `{columns}`"))
            .with_hint(
                "`instil convert ROWS --to prompt-completion -o OUT` makes such rows of most datasets",
            ));
    }
    Ok((summary, true))
}

/// A row that can be scored.
struct Text {
    id: Value,
    origin: crate::record::Origin,
    scored: Scored,
}

impl Text {
    fn of(mut row: Row, options: Options) -> Result<Self, Reject> {
        let Options { eos, apart } = options;
        let prompt = text(&mut row, "prompt")?;
        let completion = text(&mut row, "completion")?;
        if completion.is_empty() && !eos {
            let raw = Value::Object(row.fields).to_string();
            return Err(Reject::read(Reason::EmptyText, row.origin, format!("`completion` is empty: {raw}")));
        }
        let id = match row.fields.shift_remove("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id,
            _ => format!("{}:{}", row.origin.source, row.origin.row.unwrap_or(0)).into(),
        };
        Ok(Self { id, origin: row.origin, scored: Scored { prompt, completion, eos, apart } })
    }

    fn outcome(self, scoring: Scoring, summary: &mut Summary) -> Outcome {
        let reject = |reason, why: String| Outcome::Reject(Reject::read(reason, self.origin.clone(), why));
        let score = match scoring {
            Scoring::Score(score) => score,
            Scoring::Refused(why) => return reject(Reason::Refused, why),
            Scoring::Failed(why) => {
                summary.failed += 1;
                return reject(Reason::Refused, why);
            }
        };
        let bytes = self.scored.completion.len();
        summary.scored += 1;
        summary.nll_nats += score.nll;
        summary.tokens += score.tokens as u64;
        summary.bytes += bytes as u64;
        summary.beyond_window += u64::from(!score.whole);
        let line = json!({"id": self.id, "nll_nats": score.nll, "tokens": score.tokens, "bytes": bytes});
        let Value::Object(line) = line else { unreachable!("an object was written above") };
        Outcome::Scored(line)
    }
}

/// A text column of a row, taken out of it.
fn text(row: &mut Row, name: &str) -> Result<String, Reject> {
    let fields: &mut Map<String, Value> = &mut row.fields;
    let (reason, why) = match fields.get(name) {
        Some(Value::String(text)) => return Ok(text.clone()),
        None => (Reason::MissingColumn, format!("there is no `{name}`")),
        Some(Value::Null) => (Reason::MissingColumn, format!("`{name}` is null")),
        Some(_) => (Reason::NotText, format!("`{name}` is no text")),
    };
    let raw = Value::Object(std::mem::take(fields)).to_string();
    Err(Reject::read(reason, row.origin.clone(), format!("{why}: {raw}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lm::scripted::Scripted;
    use crate::lm::{Outcome as Said, Score};
    use crate::record::Origin;

    fn row(number: u64, fields: Value) -> Result<Row, Reject> {
        let Value::Object(fields) = fields else { panic!("{fields}") };
        let origin = Origin { source: "rows.jsonl".into(), row: Some(number) };
        Ok(Row { fields, origin, dataset: None })
    }

    fn model() -> Scripted {
        Scripted::new(0, 1, |_, _| Said::Declined).scoring(|text| match text.prompt.as_str() {
            "long" => Scoring::Refused("beyond the window".into()),
            _ => Scoring::Score(Score {
                nll: text.completion.len() as f64 * 0.5 + f64::from(u8::from(text.eos)),
                tokens: text.completion.split(' ').count() + usize::from(text.eos),
                greedy: None,
                whole: text.prompt != "window",
            }),
        })
    }

    fn run(rows: Vec<Result<Row, Reject>>, options: Options) -> (Vec<String>, Summary) {
        let mut lines = Vec::new();
        let (summary, whole) = super::rows(
            rows.into_iter(),
            &model(),
            None,
            options,
            &mut |outcome| {
                lines.push(match outcome {
                    Outcome::Scored(line) => Value::Object(line).to_string(),
                    Outcome::Reject(reject) => format!("{} {}", reject.reason.word(), reject.raw),
                });
                Ok(())
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
        assert!(whole);
        (lines, summary)
    }

    #[test]
    fn every_row_is_scored_or_has_a_reason_and_sums_are_divided_once() {
        let rows = || {
            vec![
                row(1, json!({"id": 7, "prompt": "a", "completion": " b c"})),
                row(2, json!({"prompt": "long", "completion": "x"})),
                row(3, json!({"prompt": "a"})),
                row(4, json!({"prompt": null, "completion": "x"})),
                row(5, json!({"prompt": "a", "completion": 3})),
                row(6, json!({"prompt": "a", "completion": ""})),
                row(7, json!({"id": "é", "prompt": "window", "completion": "éé"})),
            ]
        };
        let (lines, summary) = run(rows(), Options::default());
        assert_eq!(lines[0], r#"{"id":7,"nll_nats":2.0,"tokens":3,"bytes":4}"#);
        assert_eq!(lines[1], "refused beyond the window");
        assert!(lines[2].starts_with("missing_column there is no `completion`"), "{}", lines[2]);
        assert!(lines[3].starts_with("missing_column `prompt` is null"));
        assert!(lines[4].starts_with("not_text `completion` is no text"));
        assert!(lines[5].starts_with("empty_text"));
        assert_eq!(lines[6], r#"{"id":"é","nll_nats":2.0,"tokens":1,"bytes":4}"#);
        assert_eq!((summary.rows, summary.scored, summary.beyond_window), (7, 2, 1));
        assert_eq!(summary.nats_per_token(), Some(1.0));
        assert_eq!(summary.bits_per_byte(), Some(4.0 / std::f64::consts::LN_2 / 8.0));
        // With an end of text an empty completion is one token.
        let (lines, _) = run(rows(), Options { eos: true, apart: false });
        assert_eq!(lines[5], r#"{"id":"rows.jsonl:6","nll_nats":1.0,"tokens":2,"bytes":0}"#);
    }

    #[test]
    fn rows_of_another_shape_are_an_error_that_names_the_columns() {
        let only = vec![row(1, json!({"text": "a", "label": 1}))];
        let error =
            super::rows(only.into_iter(), &model(), None, Options::default(), &mut |_| Ok(()), &mut |_| {
                ControlFlow::Continue(())
            });
        let error = error.unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("`text`, `label`"));
    }
}
