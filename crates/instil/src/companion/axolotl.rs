//! axolotl's YAML (0.19.0: `utils/schemas/datasets.py`, `prompt_strategies/`).

use std::fmt::Write as _;

use super::rows::{Rows, Speech};
use super::{Dataset, MARK, quoted};

/// Why axolotl has no reader for these rows, if it has none.
pub(super) fn refusal(rows: &Rows) -> Option<&'static str> {
    match rows {
        Rows::Prompt | Rows::PromptMessages => {
            Some("prompts alone are trained on with a reward, which is yours")
        }
        Rows::PromptCompletionMessages => Some("none of its types has two lists of messages"),
        Rows::PreferenceAlpaca => Some("its types of preferences have one prompt, not instruction and input"),
        Rows::PreferenceImplicit => Some("its types of preferences have a prompt of their own"),
        Rows::OpenAiPreference => Some("none of its types has `preferred_output`"),
        Rows::UnpairedMessages => Some("its types of KTO have texts"),
        Rows::Task => Some("it reads a row for each instance"),
        _ => None,
    }
}

/// Its configuration, as far as datasets go.
pub(super) fn text(data: &Dataset, rows: &Rows) -> Result<String, String> {
    let mut kind = String::new();
    let mut top = String::new();
    match rows {
        Rows::Chat { list, speech } if data.shape.name == "pygmalion" => {
            // axolotl's `pygmalion` knows `human` and `bot` alone; as messages every role is known.
            chat(&mut kind, list, speech);
            top.push_str("chat_template: tokenizer_default\n");
        }
        Rows::Chat { list, speech } => {
            chat(&mut kind, list, speech);
            if data.shape.name == "axolotl-chat" {
                line(&mut kind, "message_field_training: train");
            }
            top.push_str("chat_template: tokenizer_default\n");
        }
        Rows::Alpaca { .. } if data.has("history") => {
            return Err("none of its types has `history`".to_owned());
        }
        Rows::Alpaca { output: "response" } => line(&mut kind, "type: gpteacher"),
        Rows::Alpaca { .. } if data.has("system") => line(&mut kind, "type: alpaca_w_system"),
        Rows::Alpaca { .. } => line(&mut kind, "type: alpaca"),
        Rows::Pair { prompt, completion, before, .. } => match own_type(data.shape.name) {
            Some(own) => line(&mut kind, &format!("type: {own}")),
            None => pair(&mut kind, prompt, completion, *before),
        },
        Rows::Text => line(&mut kind, "type: completion"),
        Rows::Segments => line(&mut kind, "type: input_output"),
        Rows::Stepwise => {
            line(&mut kind, "type: stepwise_supervised");
            top.push_str(
                "process_reward_model: true\nmodel_type: AutoModelForTokenClassification\nnum_labels: 2\n",
            );
        }
        Rows::Preference { prompt, chosen, .. } => {
            let own = match (*prompt, *chosen) {
                ("question", _) => "intel",
                ("input", _) => "icr",
                (_, "chosen_response") => "default",
                _ => "prompt_pairs",
            };
            line(&mut kind, &format!("type: chatml.{own}"));
            top.push_str("rl: dpo\n");
        }
        Rows::PreferenceMessages { list, speech, .. } => {
            line(&mut kind, "type: chat_template.default");
            messages(&mut kind, list, speech);
            top.push_str("rl: dpo\nchat_template: tokenizer_default\n");
        }
        Rows::PreferenceImplicitMessages => {
            line(&mut kind, "type: chat_template.argilla_chat");
            top.push_str("rl: dpo\nchat_template: tokenizer_default\n");
        }
        Rows::Unpaired => {
            line(&mut kind, "type: chatml.prompt_pairs");
            // Its schema wants this said.
            top.push_str("rl: kto\nremove_unused_columns: false\n");
        }
        _ => unreachable!("such rows are refused"),
    }
    let mut out =
        format!("# {MARK}: what axolotl has to know of this dataset. Put it into your configuration.\n");
    out.push_str("# Paths are meant from the folder that axolotl is called in.\n");
    let dataset = |out: &mut String, split: &str| {
        let _ = writeln!(out, "  - path: {}", quoted(&data.typed()));
        if !data.is_folder {
            let _ = writeln!(out, "    ds_type: {}", data.loader());
        }
        let _ = writeln!(out, "    split: {split}");
        out.push_str(&kind);
    };
    let (train, test) = trained(data);
    out.push_str("datasets:\n");
    dataset(&mut out, train);
    if let Some(test) = test {
        out.push_str("test_datasets:\n");
        dataset(&mut out, test);
    }
    Ok(out + &top)
}

/// The split that is trained on, and the one that is looked at meanwhile, if there is one.
fn trained(data: &Dataset) -> (&str, Option<&str>) {
    let train = data.splits.first().map_or("train", String::as_str);
    let test = ["validation", "test"]
        .into_iter()
        .find(|name| *name != train && data.splits.iter().any(|split| split == name));
    (train, test)
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "    {text}");
}

fn chat(out: &mut String, list: &str, speech: &Speech) {
    line(out, "type: chat_template");
    messages(out, list, speech);
}

/// Where the messages are and who speaks in them.
fn messages(out: &mut String, list: &str, speech: &Speech) {
    line(out, &format!("field_messages: {list}"));
    line(out, "message_property_mappings:");
    line(out, &format!("  role: {}", speech.role));
    line(out, &format!("  content: {}", speech.content));
    if speech.is_sharegpt {
        line(out, "roles:");
        line(out, "  system: [system]");
        line(out, "  user: [human, user]");
        line(out, "  assistant: [gpt, assistant, model, chatgpt, bing, bard, function_call]");
        line(out, "  tool: [observation, tool, function_response]");
    } else {
        line(out, "roles:");
        line(out, "  system: [system, developer]");
        line(out, "  user: [user]");
        line(out, "  assistant: [assistant]");
        line(out, "  tool: [tool, function]");
    }
}

/// Its type for a pair of texts, where it has one: it puts words of its own around them.
fn own_type(shape: &str) -> Option<&'static str> {
    Some(match shape {
        "open-orca" => "alpaca_w_system.load_open_orca",
        "context-qa" => "context_qa.load_v2",
        "article-qa" => "context_qa",
        "jeopardy" => "jeopardy",
        "oasst" => "oasst",
        "summarize-tldr" => "summarizetldr",
        "camel" => "alpaca_chat.load_camel_ai",
        "metharme" => "metharme",
        "question-answer" => "alpaca_chat.load_qa",
        _ => return None,
    })
}

/// Two texts one after the other, without a word between them.
fn pair(out: &mut String, prompt: &str, completion: &str, before: Option<&str>) {
    line(out, "type:");
    let (instruction, input) = (before.unwrap_or(prompt), before.map_or("", |_| prompt));
    line(out, &format!("  field_instruction: {instruction}"));
    // Without a name for them it would look for `input` and `system` and put them in.
    line(out, &format!("  field_input: {}", quoted(input)));
    line(out, &format!("  field_output: {completion}"));
    line(out, "  field_system: \"\"");
    line(out, "  system_prompt: \"\"");
    line(out, r#"  format: "{instruction}\n\n{input}""#);
    line(out, r#"  no_input_format: "{instruction}""#);
}
