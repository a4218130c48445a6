//! `check FILE.yaml`: what is wrong with templates, each finding with its line and place.

use std::collections::BTreeMap;
use std::ops::Range;

use indicatif::HumanCount;
use instil::Result;
use instil::template::remix::{Finding, Severity, explain};
use instil::template::{Collection, Template};
use serde_json::json;

use crate::args::CheckArgs;
use crate::tables::plural;
use crate::{exit, output};

/// How often the same finding is shown; a whole PromptSource has some a thousand times.
const MOST: u64 = 5;

pub(crate) fn run(args: &CheckArgs) -> Result<u8> {
    let collection = Collection::read(&args.file)?;
    let (mut errors, mut warnings) = (0, 0);
    let mut seen = BTreeMap::<String, u64>::new();
    for template in collection.templates() {
        for finding in explain(template) {
            match finding.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
            if args.json {
                output::data(&as_json(template, &finding));
            } else {
                let times = seen.entry(finding.message.clone()).or_default();
                *times += 1;
                if *times <= MOST {
                    print(template, &finding);
                }
            }
        }
    }
    for (message, times) in seen.iter().filter(|(_, times)| **times > MOST) {
        output::data(&format!("… and {} times more: {message}\n", HumanCount(times - MOST)));
    }
    if !args.json {
        output::data(&format!(
            "{}: {}, {}",
            plural(collection.len(), "template"),
            plural(errors, "error"),
            plural(warnings, "warning")
        ));
    }
    Ok(if errors > 0 { exit::NOT_DONE } else { exit::DONE })
}

fn as_json(template: &Template, finding: &Finding) -> String {
    let object = json!({
        "file": template.file.display().to_string(),
        "dataset": &*template.dataset,
        "template": template.name,
        "severity": finding.severity.word(),
        "line": finding.line,
        "start": finding.span.as_ref().map(|span| span.start),
        "end": finding.span.as_ref().map(|span| span.end),
        "message": finding.message,
        "hint": finding.hint,
    });
    object.to_string()
}

fn print(template: &Template, finding: &Finding) {
    let Template { file, name, dataset, .. } = template;
    output::data(&format!("{}: {}", finding.severity.word(), finding.message));
    let line = finding.line.map_or(String::new(), |line| format!(", line {line} of its text"));
    output::data(&format!("  in {}: template `{name}` of {dataset}{line}", file.display()));
    if let Some(span) = &finding.span {
        for line in snippet(&template.jinja, span) {
            output::data(&format!("  | {line}"));
        }
    }
    output::data(&format!("  {}\n", finding.hint));
}

/// The line that a span begins in, and below it marks under what of the span is in that line.
fn snippet(text: &str, span: &Range<usize>) -> [String; 2] {
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[span.start..].find('\n').map_or(text.len(), |newline| span.start + newline);
    let before = text[start..span.start].chars().count();
    let marked = text[span.start..span.end.clamp(span.start, end)].chars().count().max(1);
    [text[start..end].to_owned(), format!("{}{}", " ".repeat(before), "^".repeat(marked))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_stand_under_the_span() {
        assert_eq!(snippet("a\nbé {{x}} c\nd", &(6..11)), ["bé {{x}} c", "   ^^^^^"]);
        assert_eq!(snippet("ab", &(2..2)), ["ab", "  ^"]);
        assert_eq!(snippet("ab\ncd", &(1..4)), ["ab", " ^"]);
    }
}
