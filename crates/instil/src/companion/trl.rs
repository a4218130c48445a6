//! A program that trains with TRL (1.16.0: `SFTTrainer`, `DPOTrainer`, `KTOTrainer`).
//!
//! Rows that TRL has no name for are brought to `prompt` and `completion`, or to `messages`, by a few lines of the
//! program, with the texts that `instil convert` would give them.

use std::fmt::Write as _;

use super::rows::{Rows, Speech};
use super::{Dataset, MARK, quoted};

/// Why TRL has no trainer for these rows, if it has none.
pub(super) fn refusal(rows: &Rows) -> Option<&'static str> {
    match rows {
        Rows::Prompt | Rows::PromptMessages => {
            Some("prompts alone are trained on with a reward, which is yours")
        }
        Rows::Stepwise => Some("TRL 1.16 has no trainer of steps any more"),
        Rows::Segments => Some("it masks prompts and turns, not spans of a text"),
        Rows::Task => Some("it reads a row for each instance"),
        _ => None,
    }
}

/// The program.
pub(super) fn text(data: &Dataset, rows: &Rows) -> String {
    let trainer = match rows {
        Rows::Preference { .. }
        | Rows::PreferenceAlpaca
        | Rows::PreferenceImplicit
        | Rows::PreferenceMessages { .. }
        | Rows::PreferenceImplicitMessages
        | Rows::OpenAiPreference => "DPO",
        Rows::Unpaired | Rows::UnpairedMessages => "KTO",
        _ => "SFT",
    };
    let path = super::Companion::Trl.path(data);
    let program = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut out = format!(
        r#"# {MARK}: trains a model on `{name}` with TRL.
#
#     python {program} --model_name_or_path MODEL --output_dir OUT
#
# and whatever else {trainer}Config and ModelConfig take, as --max_steps or --learning_rate.
"#,
        name = data.file_name(),
    );
    if !data.is_folder {
        out.push_str("from pathlib import Path\n\n");
    }
    let _ = writeln!(
        out,
        "from datasets import load_dataset\nfrom trl import ModelConfig, TrlParser, {trainer}Config, {trainer}Trainer\n"
    );
    let map = mapping(data, rows);
    if let Some(map) = &map {
        let _ = writeln!(out, "\n{map}\n");
    }
    out.push_str("if __name__ == \"__main__\":\n");
    let _ = writeln!(
        out,
        "    training, model = TrlParser(({trainer}Config, ModelConfig)).parse_args_and_config()"
    );
    let split = data.splits.first().map_or("train", String::as_str);
    let options = if data.loader() == "csv" { ", keep_default_na=False" } else { "" };
    let source = match data.is_folder {
        true => quoted(&data.typed()),
        // The folder may be called from anywhere, so the file is found beside the program.
        false => format!(
            "{}, data_files=str(Path(__file__).parent / {}){options}",
            quoted(data.loader()),
            quoted(&data.file_name())
        ),
    };
    let _ = writeln!(out, "    rows = load_dataset({source}, split={})", quoted(split));
    if map.is_some() {
        out.push_str("    rows = rows.map(trained, remove_columns=rows.column_names)\n");
    } else if let Some(columns) = kept(data, rows) {
        let _ = writeln!(out, "    rows = rows.select_columns([{columns}])");
    }
    let _ = writeln!(
        out,
        "    trainer = {trainer}Trainer(model=model.model_name_or_path, args=training, train_dataset=rows)\n    \
         trainer.train()\n    trainer.save_model(training.output_dir)"
    );
    out
}

/// The columns that TRL knows, where there are others.
fn kept(data: &Dataset, rows: &Rows) -> Option<String> {
    let mut known: Vec<&str> = match rows {
        Rows::Chat { .. } => vec!["messages"],
        Rows::Text => vec!["text"],
        Rows::Pair { .. } | Rows::PromptCompletionMessages => vec!["prompt", "completion"],
        Rows::Unpaired | Rows::UnpairedMessages => vec!["prompt", "completion", "label"],
        Rows::PreferenceImplicit | Rows::PreferenceImplicitMessages => vec!["chosen", "rejected"],
        _ => vec!["prompt", "chosen", "rejected"],
    };
    if data.has("tools") {
        known.push("tools");
    }
    let has_others = data.columns.iter().any(|column| !known.contains(&column.as_str()));
    has_others.then(|| known.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", "))
}

/// A function of Python that brings a row to a form of TRL's; none where it has one.
fn mapping(data: &Dataset, rows: &Rows) -> Option<String> {
    let body = match rows {
        Rows::Chat { list: "messages", speech: Speech { is_sharegpt: false, .. } }
        | Rows::Text
        | Rows::Pair { prompt: "prompt", completion: "completion", system: None, before: None }
        | Rows::PromptCompletionMessages
        | Rows::Preference { prompt: "prompt", system: None, chosen: "chosen", rejected: "rejected" }
        | Rows::PreferenceImplicit
        | Rows::PreferenceMessages { list: "prompt", .. }
        | Rows::PreferenceImplicitMessages
        | Rows::Unpaired
        | Rows::UnpairedMessages => return None,
        Rows::Chat { list, speech } => {
            let system = match speech.is_sharegpt && data.has("system") {
                true => "    system = [{\"role\": \"system\", \"content\": row[\"system\"]}] if row[\"system\"] else []\n",
                false => "",
            };
            let before = if system.is_empty() { "" } else { "system + " };
            format!("{system}    return {{\"messages\": {before}messages(row[{}])}}", quoted(list))
        }
        Rows::Alpaca { output } => {
            let (system, history) = (data.has("system"), data.has("history"));
            if !system && !history {
                return Some(function(&format!(
                    "    prompt = \"\\n\\n\".join(part for part in [row[\"instruction\"], {}] if part)\n    \
                     return {{\"prompt\": prompt, \"completion\": row[{}]}}",
                    if data.has("input") { "row[\"input\"]" } else { "\"\"" },
                    quoted(output)
                )));
            }
            let mut body = String::from("    turns = []\n");
            if system {
                body.push_str("    if row[\"system\"]:\n        turns.append({\"role\": \"system\", \"content\": row[\"system\"]})\n");
            }
            if history {
                body.push_str(
                    "    for user, assistant in row[\"history\"] or []:\n        turns.append({\"role\": \"user\", \
                     \"content\": user})\n        turns.append({\"role\": \"assistant\", \"content\": assistant})\n",
                );
            }
            let _ = write!(
                body,
                "    prompt = \"\\n\\n\".join(part for part in [row[\"instruction\"], {}] if part)\n    \
                 turns.append({{\"role\": \"user\", \"content\": prompt}})\n    \
                 turns.append({{\"role\": \"assistant\", \"content\": row[{}]}})\n    return {{\"messages\": turns}}",
                if data.has("input") { "row[\"input\"]" } else { "\"\"" },
                quoted(output)
            );
            body
        }
        Rows::Pair { prompt, completion, system, before } => {
            let parts: Vec<String> = [*system, *before, Some(*prompt)]
                .into_iter()
                .flatten()
                .map(|part| format!("row[{}]", quoted(part)))
                .collect();
            let prompt = match parts.as_slice() {
                [one] => one.clone(),
                parts => format!("\"\\n\\n\".join(part for part in [{}] if part)", parts.join(", ")),
            };
            format!("    return {{\"prompt\": {prompt}, \"completion\": row[{}]}}", quoted(completion))
        }
        Rows::Preference { prompt, system, chosen, rejected } => {
            let prompt = match system.filter(|system| data.has(system)) {
                None => format!("row[{}]", quoted(prompt)),
                Some(system) => format!(
                    "\"\\n\\n\".join(part for part in [row[{}], row[{}]] if part)",
                    quoted(system),
                    quoted(prompt)
                ),
            };
            format!(
                "    return {{\"prompt\": {prompt}, \"chosen\": row[{}], \"rejected\": row[{}]}}",
                quoted(chosen),
                quoted(rejected)
            )
        }
        Rows::PreferenceAlpaca => {
            "    prompt = \"\\n\\n\".join(part for part in [row[\"instruction\"], row[\"input\"]] if part)\n    \
             return {\"prompt\": prompt, \"chosen\": row[\"chosen\"], \"rejected\": row[\"rejected\"]}"
                .to_owned()
        }
        Rows::PreferenceMessages { list, .. } => format!(
            "    return {{\n        \"prompt\": messages(row[{}]),\n        \"chosen\": messages([row[\"chosen\"]]),\n        \
             \"rejected\": messages([row[\"rejected\"]]),\n    }}",
            quoted(list)
        ),
        Rows::OpenAiPreference => {
            "    return {\n        \"prompt\": messages(row[\"input\"][\"messages\"]),\n        \
             \"chosen\": messages(row[\"preferred_output\"]),\n        \
             \"rejected\": messages(row[\"non_preferred_output\"]),\n    }"
                .to_owned()
        }
        Rows::Prompt | Rows::PromptMessages | Rows::Stepwise | Rows::Segments | Rows::Task => {
            unreachable!("such rows are refused")
        }
    };
    let speech = match rows {
        Rows::Chat { speech, .. } | Rows::PreferenceMessages { speech, .. } => Some(*speech),
        Rows::OpenAiPreference => Some(Speech { role: "role", content: "content", is_sharegpt: false }),
        _ => None,
    };
    Some(speech.map_or(String::new(), |speech| messages(&speech)) + &function(&body))
}

fn function(body: &str) -> String {
    format!("def trained(row):\n{body}\n")
}

/// A function of Python that brings a list to OpenAI's messages.
fn messages(speech: &Speech) -> String {
    let (role, content) = (quoted(speech.role), quoted(speech.content));
    if !speech.is_sharegpt {
        return format!(
            "def messages(turns):\n    return [{{\"role\": turn[{role}], \"content\": turn[{content}]}} for turn in turns]\n\n\n"
        );
    }
    format!(
        "ROLES = {{\n    \"human\": \"user\", \"gpt\": \"assistant\", \"model\": \"assistant\", \"chatgpt\": \"assistant\",\n    \
         \"bing\": \"assistant\", \"bard\": \"assistant\", \"function_call\": \"assistant\", \"observation\": \"tool\",\n    \
         \"function_response\": \"tool\",\n}}\n\n\ndef messages(turns):\n    return [\n        \
         {{\"role\": ROLES.get(turn[{role}], turn[{role}]), \"content\": turn[{content}]}} for turn in turns\n    ]\n\n\n"
    )
}
