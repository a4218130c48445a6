//! The YAML of a task for lm-eval (0.4.13: `docs/new_task_guide.md`, `api/task.py`).
//!
//! A prompt or an answer that is one column is named, not rendered: what lm-eval renders it also reads as Python
//! where it looks like a list.

use std::fmt::Write as _;

use super::rows::Rows;
use super::{Dataset, MARK, quoted};

/// Why nothing can be measured on these rows, if nothing can.
pub(super) fn refusal(rows: &Rows) -> Option<&'static str> {
    match rows {
        Rows::Prompt | Rows::PromptMessages => Some("there is no answer to measure by"),
        Rows::Stepwise => Some("it has no measure for steps"),
        Rows::Segments => Some("spans of a text are no prompt and answer"),
        Rows::Unpaired | Rows::UnpairedMessages => Some("an answer that may be bad is nothing to measure by"),
        Rows::PreferenceImplicit | Rows::PreferenceImplicitMessages => {
            Some("the prompt has no column of its own")
        }
        Rows::Task => Some("it reads a row for each instance"),
        _ => None,
    }
}

/// The task.
pub(super) fn text(data: &Dataset, rows: &Rows) -> String {
    let mut out = format!(
        "# {MARK}: a task for lm-eval, as in `lm_eval --include_path FOLDER --tasks {}`.\n",
        data.name
    );
    out.push_str("# Paths are meant from the folder that lm_eval is called in.\n");
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!("task: {}", quoted(&data.name)));
    let split = ["test", "validation"].into_iter().find(|name| data.splits.iter().any(|split| split == name));
    if data.is_folder {
        line(format!("dataset_path: {}", quoted(&data.typed())));
        line(format!("test_split: {}", split.unwrap_or(data.splits.first().map_or("train", String::as_str))));
    } else {
        line(format!("dataset_path: {}", data.loader()));
        line("dataset_kwargs:".to_owned());
        line("  data_files:".to_owned());
        line(format!("    train: {}", quoted(&data.typed())));
        if data.loader() == "csv" {
            // Else an empty cell and words like `None` are read as nothing.
            line("  keep_default_na: false".to_owned());
        }
        line("test_split: train".to_owned());
    }
    let (prompt, answer) = match rows {
        Rows::Text => {
            line("output_type: loglikelihood_rolling".to_owned());
            line("doc_to_text: \"\"".to_owned());
            line("doc_to_target: text".to_owned());
            line("metric_list:".to_owned());
            for metric in ["word_perplexity", "byte_perplexity", "bits_per_byte"] {
                line(format!("  - metric: {metric}"));
            }
            line("metadata:\n  version: 1".to_owned());
            return out;
        }
        Rows::Chat { list, speech } => {
            let content = speech.content;
            (
                format!("{{{{ {list}[:-1] | map(attribute='{content}') | join('\\n\\n') }}}}"),
                format!("{{{{ {list}[-1]['{content}'] }}}}"),
            )
        }
        Rows::Alpaca { output } => {
            ("{{ instruction }}{% if input %}\n\n{{ input }}{% endif %}".to_owned(), (*output).to_owned())
        }
        Rows::Pair { prompt, completion, system, before } => {
            let parts: Vec<String> = [*system, *before]
                .into_iter()
                .flatten()
                .map(|part| format!("{{% if {part} %}}{{{{ {part} }}}}\n\n{{% endif %}}"))
                .collect();
            let prompt = match parts.as_slice() {
                [] => (*prompt).to_owned(),
                parts => format!("{}{{{{ {prompt} }}}}", parts.concat()),
            };
            (prompt, (*completion).to_owned())
        }
        Rows::PromptCompletionMessages => (
            "{{ prompt | map(attribute='content') | join('\\n\\n') }}".to_owned(),
            "{{ completion[-1]['content'] }}".to_owned(),
        ),
        Rows::Preference { .. }
        | Rows::PreferenceAlpaca
        | Rows::PreferenceMessages { .. }
        | Rows::OpenAiPreference => {
            let (prompt, choices) = preference(data, rows);
            line("output_type: multiple_choice".to_owned());
            line(format!("doc_to_text: {}", quoted(&prompt)));
            line(format!("doc_to_choice: {}", quoted(&choices)));
            line("doc_to_target: 0".to_owned());
            line("target_delimiter: \"\\n\\n\"".to_owned());
            line("metric_list:".to_owned());
            for metric in ["acc", "acc_norm"] {
                line(format!("  - metric: {metric}\n    aggregation: mean\n    higher_is_better: true"));
            }
            line("metadata:\n  version: 1".to_owned());
            return out;
        }
        _ => unreachable!("such rows are refused"),
    };
    line("output_type: generate_until".to_owned());
    line(format!("doc_to_text: {}", quoted(&prompt)));
    line(format!("doc_to_target: {}", quoted(&answer)));
    line("target_delimiter: \"\"".to_owned());
    line("generation_kwargs:\n  until: []\n  do_sample: false\n  max_gen_toks: 512".to_owned());
    line("metric_list:".to_owned());
    line("  - metric: exact_match\n    aggregation: mean\n    higher_is_better: true".to_owned());
    line("metadata:\n  version: 1".to_owned());
    out
}

/// The prompt, and the list of the two answers, the better one first.
fn preference(data: &Dataset, rows: &Rows) -> (String, String) {
    match rows {
        Rows::Preference { prompt, system, chosen, rejected } => {
            let system = system.filter(|system| data.has(system));
            let system = system.map_or(String::new(), |system| {
                format!("{{% if {system} %}}{{{{ {system} }}}}\n\n{{% endif %}}")
            });
            (format!("{system}{{{{ {prompt} }}}}"), format!("{{{{ [{chosen}, {rejected}] }}}}"))
        }
        Rows::PreferenceAlpaca => (
            "{{ instruction }}{% if input %}\n\n{{ input }}{% endif %}".to_owned(),
            "{{ [chosen, rejected] }}".to_owned(),
        ),
        Rows::PreferenceMessages { list, speech, is_single } => {
            let content = speech.content;
            let of = |answer: &str| match is_single {
                true => format!("{answer}['{content}']"),
                false => format!("{answer}[-1]['{content}']"),
            };
            (
                format!("{{{{ {list} | map(attribute='{content}') | join('\\n\\n') }}}}"),
                format!("{{{{ [{}, {}] }}}}", of("chosen"), of("rejected")),
            )
        }
        _ => (
            "{{ input['messages'] | map(attribute='content') | join('\\n\\n') }}".to_owned(),
            "{{ [preferred_output[-1]['content'], non_preferred_output[-1]['content']] }}".to_owned(),
        ),
    }
}
