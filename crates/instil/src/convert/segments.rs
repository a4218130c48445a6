//! axolotl's `input_output` (spec/uit.md 7.8).

use serde_json::{Map, Value, json};

use super::form::{Form, Kind};
use super::halves::{bare_pair, count_fields, count_structure, text_of, unfit};
use super::keys::{At, Keys, Misfit, lay_over, list};
use super::loss::Losses;
use super::record::{Content, Record, Role, Turn};

/// Spans of text of which the loss counts some: axolotl's `input_output`.
pub(super) struct Segments;

impl Form for Segments {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let at = At::Row;
        let at = at.key("segments");
        let mut record = Record::default();
        for (index, segment) in list(keys.needed("segments")?, &at)?.iter().enumerate() {
            let at = at.index(index);
            let mut inside = Keys::of_value(segment, at)?;
            let said = inside.needed_text("text")?;
            let label = inside.needed_bool("label")?;
            let mut turn = Turn::new(if label { Role::Assistant } else { Role::User }, said);
            (turn.extra, turn.spelling) = inside.rest();
            record.turns.push(turn);
        }
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        count_structure(record, losses);
        count_fields(record, losses);
        // Segments are joined as they are: what parts the turns of a conversation is for a chat template.
        if !is_same && bare_pair(record).is_none() {
            return Err(unfit("segments are joined as they are, and a conversation needs a chat template"));
        }
        let mut segments = Vec::with_capacity(record.turns.len());
        for turn in &record.turns {
            let label = turn.role == Role::Assistant;
            let said = match &turn.content {
                // What a segment has besides stays.
                Content::Text(text) if is_same => text.clone(),
                _ => text_of(turn, losses),
            };
            let mut segment = json!({"text": said, "label": label});
            if let (true, Some(segment)) = (is_same, segment.as_object_mut()) {
                lay_over(segment, &turn.extra);
                lay_over(segment, &turn.spelling);
            }
            segments.push(segment);
        }
        Ok(Map::from_iter([("segments".to_owned(), Value::Array(segments))]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        row.get("segments")
            .and_then(Value::as_array)
            .is_some_and(|segments| segments.first().is_none_or(|segment| segment.get("label").is_some()))
    }

    fn why(&self) -> String {
        "`segments` is a list of `text` and `label`".to_owned()
    }

    fn kind(&self) -> Kind {
        Kind::Segments
    }

    fn path(&self, _: &Record, turn: usize) -> String {
        format!("/segments/{turn}/text")
    }
}
