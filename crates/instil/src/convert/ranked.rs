//! Nectar: a prompt and answers with their ranks (spec/uit.md 7.8, `zephyr.nectar`). The lowest rank is the best.

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, joined, unfit, wanted};
use super::keys::{At, Keys, Misfit, lay_over, list};
use super::loss::Losses;
use super::record::{Preference, Ranked, Record, Role, Turn};

/// A prompt and ranked answers.
pub(super) struct Answers;

const ANSWERS: &str = "answers";

impl Form for Answers {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let mut record = Record::of(vec![Turn::new(Role::User, keys.needed_text("prompt")?)]);
        record.prompt = Some(1);
        let at = At::Row.key(ANSWERS);
        let mut answers = Vec::new();
        for (index, answer) in list(keys.needed(ANSWERS)?, &at)?.iter().enumerate() {
            let at = at.index(index);
            let mut inside = Keys::of_value(answer, at)?;
            let text = inside.needed_text("answer")?;
            let rank = match inside.needed("rank")? {
                Value::Number(rank) => rank.clone(),
                other => return Err(at.key("rank").wrong_type("a number", other)),
            };
            let (mut extra, spelling) = inside.rest();
            extra.extend(spelling);
            answers.push(Ranked { text, rank, extra });
        }
        record.preference = Some(Preference::Ranked(answers));
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let halves =
            Halves::without_system(&Record { prompt: Some(record.turns.len()), ..record.clone() }, losses);
        let prompt = wanted(halves.prompt(), "prompt", "a row of answers")?;
        let object = |text: &str, rank: Value, extra: Option<&Map<String, Value>>| {
            let mut object = Map::with_capacity(2);
            object.insert("answer".to_owned(), text.into());
            object.insert("rank".to_owned(), rank);
            if let Some(extra) = extra.filter(|_| is_same) {
                lay_over(&mut object, extra);
            }
            Value::Object(object)
        };
        let answers = match &record.preference {
            Some(Preference::Ranked(answers)) => answers
                .iter()
                .map(|answer| object(&answer.text, answer.rank.clone().into(), Some(&answer.extra)))
                .collect(),
            Some(Preference::Pair { chosen, rejected }) => [chosen, rejected]
                .into_iter()
                .zip(1..)
                .map(|(turns, rank)| object(&joined(turns, losses).unwrap_or_default(), rank.into(), None))
                .collect(),
            _ => return Err(unfit("there are no answers with ranks")),
        };
        Ok(Map::from_iter([
            ("prompt".to_owned(), prompt.into()),
            (ANSWERS.to_owned(), Value::Array(answers)),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let first = row.get(ANSWERS).and_then(Value::as_array).and_then(|answers| answers.first());
        holds_text(row, "prompt") && first.is_some_and(|answer| answer.get("rank").is_some())
    }

    fn why(&self) -> String {
        "`prompt` is a text and `answers` a list of `answer` and `rank`".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Ranked
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if is_asked(record, turn) { "/prompt" } else { "/answers" }.to_owned()
    }
}
