//! Conversations as one text, by a model's chat template: a view, made on request only.
//!
//! What was rendered can't be read back without knowing the template, and the loss on it counts every turn, so a
//! trainer that renders templates itself should be given messages.

use std::path::Path;

use serde_json::{Map, Value};

use super::halves::unfit;
use super::keys::Misfit;
use super::loss::{Loss, Losses};
use super::record::Record;
use super::{Shape, Written};
use crate::chat_template::{ChatTemplate, Conversation, Moment, SpecialTokens, TODAY};
use crate::error::{Error, Result};

/// The shape that a view has.
pub const SHAPE: &str = "text";

/// A chat template that records are rendered with.
pub struct View(ChatTemplate);

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

impl View {
    /// The template of a model's folder, or one file of Jinja; its special tokens are those of the folder in which
    /// it lies.
    ///
    /// # Errors
    /// When there is none, or it is no Jinja.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        if path.is_dir() {
            let found = ChatTemplate::of_folder(path)?;
            return found.map(Self).ok_or_else(|| {
                Error::input(format!("`{shown}` has no chat template")).with_hint(
                    "`chat_template.jinja` or `tokenizer_config.json` would hold it; a file of Jinja can be named too",
                )
            });
        }
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|error| Error::input(format!("can't read `{}`", path.display())).because(error))
        };
        let source =
            read(path).map_err(|error| error.with_hint("name a model's folder or a file of Jinja"))?;
        let config = path.with_file_name("tokenizer_config.json");
        let special = if config.is_file() {
            let config: Value = serde_json::from_str(&read(&config)?)
                .map_err(|error| Error::input(format!("`{}` is no JSON", config.display())).because(error))?;
            SpecialTokens::of_json(&config)
        } else {
            SpecialTokens::default()
        };
        ChatTemplate::parse(&source, special).map(Self)
    }

    /// The row of a record: its text.
    ///
    /// # Errors
    /// When the record doesn't fit messages, or the template refuses it.
    pub(crate) fn write(&self, record: &Record) -> std::result::Result<Written, Misfit> {
        let messages = Shape::parse("messages").expect("the shape of messages is there");
        let Written { row, losses, mut dropped } = messages.write(record)?;
        let mut losses: Losses = losses;
        let list = |key: &str| row.get(key).and_then(Value::as_array).map(Vec::as_slice);
        let conversation = Conversation {
            tools: list("tools"),
            now: Moment::new(TODAY, 0),
            ..Conversation::of(list("messages").unwrap_or_default())
        };
        let text = self.0.render(&conversation).map_err(|error| unfit(error.to_string()))?;
        losses.add_if(record.turns.iter().any(|turn| turn.train.is_some()), Loss::Train);
        losses.add_if(row.contains_key("id"), Loss::Id);
        for key in row.keys().filter(|key| !["messages", "tools", "id"].contains(&key.as_str())) {
            losses.add(Loss::Extra);
            dropped.push(key.clone());
        }
        Ok(Written { row: Map::from_iter([("text".to_owned(), text.into())]), losses, dropped })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}\
        {{ raise_exception('no tools') }}{% endif %}<{{ m.role }}>{{ m.content }}</>{% endfor %}";

    fn view() -> (tempfile::TempDir, View) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.jinja");
        std::fs::write(&path, TEMPLATE).unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"bos_token": "<s>"}"#).unwrap();
        let view = View::open(&path).unwrap();
        (folder, view)
    }

    fn record(shape: &str, row: &Value) -> Record {
        Shape::parse(shape).unwrap().read(row.as_object().unwrap()).remove(0).unwrap()
    }

    #[test]
    fn a_conversation_of_any_shape_is_rendered() {
        let (_folder, view) = view();
        let row = json!({"instruction": "Name a use.", "input": "A kettle.", "output": "Tea.", "score": 3});
        let written = view.write(&record("alpaca", &row)).unwrap();
        assert_eq!(
            Value::Object(written.row),
            json!({"text": "<s><user>Name a use.\n\nA kettle.</><assistant>Tea.</>"})
        );
        assert_eq!((written.losses.kinds(), written.dropped), (vec![Loss::Extra], vec!["score".to_owned()]));
    }

    #[test]
    fn what_messages_carry_and_a_text_does_not_is_counted() {
        let (_folder, view) = view();
        let row = json!({"id": "a", "messages": [
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "weight": 1}
        ], "source": "mine"});
        let written = view.write(&record("messages", &row)).unwrap();
        assert_eq!(written.losses.kinds(), [Loss::Id, Loss::Train, Loss::Extra]);
        assert_eq!(written.dropped, ["source"]);
    }

    #[test]
    fn a_refusal_of_the_template_is_a_misfit() {
        let (_folder, view) = view();
        let row = json!({"messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
                "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "content": "3", "tool_call_id": "1"}, {"role": "assistant", "content": "Ho"}
        ]});
        let misfit = view.write(&record("messages", &row)).unwrap_err();
        assert!(misfit.message.contains("no tools"), "{misfit}");
    }

    #[test]
    fn a_folder_without_a_template_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = View::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("has no chat template"), "{error}");
    }
}
