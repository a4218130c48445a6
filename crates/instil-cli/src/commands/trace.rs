//! `trace`: from source bytes to final row.

use instil::Result;
use instil::rows::prompt_and_completion;
use serde_json::Value;

use crate::args::TraceArgs;
use crate::{exit, output, settings};

pub(crate) fn run(args: TraceArgs) -> Result<u8> {
    let trace = instil::trace::trace(&args.dataset, &args.id, |recipe| {
        // A program or a recording is asked again; weights and endpoints would cost something.
        let costs = recipe.endpoint.is_some() || settings::is_local(recipe);
        if costs { Ok(None) } else { settings::model(recipe, None).map(Some) }
    })?;
    if args.json {
        output::data(&serde_json::to_string(&trace).expect("a trace is plain values"));
        return Ok(exit::DONE);
    }
    let fact = |name: &str| match trace.provenance.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Some(value) => value.to_string(),
    };
    let line = |name: &str, value: String| {
        if !value.is_empty() {
            output::data(&format!("{name:<12} {value}"));
        }
    };
    line("example", fact("id"));
    line("task", fact("task"));
    line("file", trace.file.clone());
    line("row", fact("row"));
    line("document", fact("document"));
    line("dataset", fact("dataset"));
    if !fact("start").is_empty() {
        line("bytes", format!("{}..{} of its text", fact("start"), fact("end")));
    }
    line("model", fact("model"));
    if !fact("seed").is_empty() {
        line("seed", format!("{} (sample {})", fact("seed"), fact("sample")));
    }
    if trace.passage.is_empty() {
        line("template", fact("template"));
        line("set to", fact("settings"));
        line("verified", fact("verified"));
    }
    line("read as", fact("shape"));
    line("mended", fact("repairs"));
    match &trace.template {
        Some(template) => {
            line("template", fact("template"));
            part("labelled row", &trace.passage);
            part("template", template);
        }
        None if trace.passage.is_empty() => {
            part("prompt", &trace.prompt);
            part("completion", trace.completion.as_deref().unwrap_or_default());
            part("made again by", &trace.command);
            return Ok(exit::DONE);
        }
        None if fact("shape").is_empty() => part("passage", &trace.passage),
        None => {
            part("row as it was read", &trace.passage);
            let row = serde_json::to_string_pretty(&trace.row).expect("a row is JSON");
            part("row as it is now", &row);
            part("made again by", &trace.command);
            return Ok(exit::DONE);
        }
    }
    part("prompt", &trace.prompt);
    part("completion", trace.completion.as_deref().unwrap_or("(the journal doesn't have it)"));
    // Of a labelled row, what was made again is the row.
    let row = prompt_and_completion(&trace.row);
    if let Some((prompt, completion)) = row.filter(|_| trace.template.is_none()) {
        part("row: prompt", &prompt);
        part("row: completion", &completion);
    }
    part("made again by", &trace.command);
    Ok(exit::DONE)
}

fn part(name: &str, text: &str) {
    output::data(&format!("\n--- {name}\n{text}"));
}
