//! LLaMA-Factory's `dataset_info.json` (0.9.5: `data/parser.py`, `data/converter.py`).

use serde_json::{Map, Value, json};

use super::rows::{Rows, Speech};
use super::{Dataset, pretty};

/// Why LLaMA-Factory has no reader for these rows, if it has none.
pub(super) fn refusal(rows: &Rows) -> Option<&'static str> {
    match rows {
        Rows::PromptMessages | Rows::PromptCompletionMessages | Rows::UnpairedMessages => {
            Some("it reads one list of messages a row, with the answer last")
        }
        Rows::PreferenceMessages { is_single: false, .. }
        | Rows::PreferenceImplicitMessages
        | Rows::OpenAiPreference => Some("it reads answers of one message each"),
        Rows::PreferenceImplicit => Some("it reads preferences with a prompt of their own"),
        Rows::Stepwise => Some("it has no training on steps"),
        Rows::Segments => Some("it masks turns, not spans of a text"),
        Rows::Task => Some("it reads a row for each instance"),
        _ => None,
    }
}

/// A `dataset_info.json` with an entry for each split.
pub(super) fn text(data: &Dataset, rows: &Rows) -> Result<String, String> {
    if !data.is_folder && data.file_name().ends_with(".gz") || data.file_name().ends_with(".zst") {
        return Err("it reads no packed files: end the output in .jsonl".to_owned());
    }
    let mut entries = Map::new();
    for split in &data.splits {
        let mut entry = Map::new();
        match (data.is_folder, data.splits.as_slice()) {
            (false, _) => drop(entry.insert("file_name".to_owned(), data.file_name().into())),
            (true, [one]) if one == "train" => drop(entry.insert("file_name".to_owned(), "data".into())),
            // Files are all taken for the training split; the folder itself is loaded by its card.
            (true, _) => {
                entry.insert("script_url".to_owned(), ".".into());
                entry.insert("split".to_owned(), split.as_str().into());
            }
        }
        about(data, rows, &mut entry);
        let name = match split.as_str() {
            "train" => data.name.clone(),
            other => format!("{}_{other}", data.name),
        };
        entries.insert(name, Value::Object(entry));
    }
    Ok(pretty(&entries))
}

fn about(data: &Dataset, rows: &Rows, entry: &mut Map<String, Value>) {
    let mut columns = Map::new();
    let mut column = |name: &str, column: &str| columns.insert(name.to_owned(), column.into());
    match rows {
        Rows::Chat { list, speech } => {
            let has_calls = data.has_calls && !speech.is_sharegpt;
            chat(entry, speech, if has_calls { "openai" } else { "sharegpt" });
            column("messages", list);
            for name in ["system", "tools"] {
                if data.has(name) {
                    column(name, name);
                }
            }
        }
        Rows::Alpaca { output } => {
            column("prompt", "instruction");
            if data.has("input") {
                column("query", "input");
            }
            column("response", output);
            for name in ["system", "history"] {
                if data.has(name) {
                    column(name, name);
                }
            }
        }
        Rows::Pair { prompt, completion, system, before } => {
            column("prompt", before.unwrap_or(prompt));
            if before.is_some() {
                column("query", prompt);
            }
            column("response", completion);
            if let Some(system) = system.filter(|system| data.has(system)) {
                column("system", system);
            }
        }
        Rows::Text => drop(column("prompt", "text")),
        Rows::Prompt => drop(column("prompt", "prompt")),
        Rows::Preference { prompt, system, chosen, rejected } => {
            entry.insert("ranking".to_owned(), true.into());
            column("prompt", prompt);
            if let Some(system) = system.filter(|system| data.has(system)) {
                column("system", system);
            }
            column("chosen", chosen);
            column("rejected", rejected);
        }
        Rows::PreferenceAlpaca => {
            entry.insert("ranking".to_owned(), true.into());
            for (name, of) in [
                ("prompt", "instruction"),
                ("query", "input"),
                ("chosen", "chosen"),
                ("rejected", "rejected"),
            ] {
                if data.has(of) {
                    column(name, of);
                }
            }
        }
        Rows::PreferenceMessages { list, speech, .. } => {
            chat(entry, speech, "sharegpt");
            entry.insert("ranking".to_owned(), true.into());
            column("messages", list);
            column("chosen", "chosen");
            column("rejected", "rejected");
            for name in ["system", "tools"] {
                if data.has(name) {
                    column(name, name);
                }
            }
        }
        Rows::Unpaired => {
            column("prompt", "prompt");
            column("response", "completion");
            column("kto_tag", "label");
        }
        _ => unreachable!("such rows are refused"),
    }
    // Tags come last, as in the file that LLaMA-Factory has of its own.
    let tags = entry.shift_remove("tags");
    entry.insert("columns".to_owned(), Value::Object(columns));
    entry.extend(tags.map(|tags| ("tags".to_owned(), tags)));
}

fn chat(entry: &mut Map<String, Value>, speech: &Speech, formatting: &str) {
    entry.insert("formatting".to_owned(), formatting.into());
    let [user, assistant, observation, function] = match speech.is_sharegpt {
        true => ["human", "gpt", "observation", "function_call"],
        // No message has that word; calls stand beside what is said.
        false => ["user", "assistant", "tool", "function_call"],
    };
    let tags = json!({
        "role_tag": speech.role,
        "content_tag": speech.content,
        "user_tag": user,
        "assistant_tag": assistant,
        "observation_tag": observation,
        "function_tag": function,
        "system_tag": "system",
    });
    entry.insert("tags".to_owned(), tags);
}
