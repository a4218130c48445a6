//! `check FILE` of a dataset: the shape of its rows, and what is wrong with them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use indicatif::HumanCount;
use instil::Result;
use instil::convert::Severity;
use instil::pipeline::convert::{Checked, check_files};
use serde_json::json;

use crate::args::CheckArgs;
use crate::commands::convert::found;
use crate::{exit, output, tables};

/// How many findings of one kind are shown.
const SHOWN: u64 = 3;

pub(crate) fn run(args: &CheckArgs) -> Result<u8> {
    let mut counts: BTreeMap<(Severity, &'static str), u64> = BTreeMap::new();
    let (mut rows, mut whole) = (0, 0);
    // Rows are told apart by 64 bits: of a million, two are taken for the same by chance once in 40 million files.
    let mut seen = HashSet::new();
    let shapes = check_files(&args.file.to_string_lossy(), args.from.as_deref(), &mut |checked: Checked<
        '_,
    >| {
        rows += 1;
        let mut hasher = DefaultHasher::new();
        let is_again = checked.row.is_some_and(|row| {
            row.to_string().hash(&mut hasher);
            !seen.insert(hasher.finish())
        });
        let mut findings: Vec<_> = checked
            .findings
            .iter()
            .map(|finding| {
                (
                    finding.severity(),
                    finding.code,
                    finding.path.as_str(),
                    finding.message.as_str(),
                    finding.hint,
                )
            })
            .collect();
        if is_again {
            let hint = "leave it out, unless it is to count twice";
            findings.push((Severity::Warning, "duplicate_row", "", "the same row came before", hint));
        }
        whole += u64::from(findings.iter().all(|(severity, ..)| *severity == Severity::Warning));
        for (severity, code, path, message, hint) in findings {
            let count = counts.entry((severity, code)).or_default();
            *count += 1;
            if args.json {
                let object = json!({
                    "file": checked.origin.source.as_ref(), "row": checked.origin.row, "severity": severity.word(),
                    "code": code, "path": path, "message": message, "hint": hint,
                });
                output::data(&object.to_string());
            } else if *count <= SHOWN {
                let row = checked.origin.row.map_or(String::new(), |row| format!(" row {row}"));
                output::data(&format!(
                    "{} {code}: {}{row}{}: {message}",
                    severity.word(),
                    checked.origin.source,
                    if path.is_empty() { String::new() } else { format!(" {path}") },
                ));
            }
        }
    })?;
    let errors: u64 =
        counts.iter().filter(|((severity, _), _)| *severity == Severity::Error).map(|(_, n)| n).sum();
    if !args.json {
        if !counts.is_empty() {
            let mut table = tables::table(&["finding", "", "times"]);
            for ((severity, code), count) in &counts {
                table.add_row([
                    (*code).to_owned(),
                    severity.word().to_owned(),
                    HumanCount(*count).to_string(),
                ]);
            }
            output::data(&format!("\n{}\n", table.trim_fmt()));
        }
        for line in found(&shapes, usize::MAX) {
            output::data(&line);
        }
        output::data(&format!("{} rows, {} without an error", HumanCount(rows), HumanCount(whole)));
    }
    Ok(if errors > 0 { exit::NOT_DONE } else { exit::DONE })
}
