//! Tables that several verbs print.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use indicatif::HumanCount;
use instil::ledger::Ledger;

/// A table without lines, under this head.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

/// Each kind of task: samples asked for and kept, and why the others were not used.
pub(crate) fn kinds(ledger: &Ledger) -> Table {
    let mut table = table(&["task", "asked", "kept", "", "not used, by reason"]);
    for (kind, count) in &ledger.kinds {
        let mut why = reasons(&count.rejects);
        if count.errors > 0 {
            let errors = format!("{} failed calls", HumanCount(count.errors));
            why = if why.is_empty() { errors } else { format!("{why}, {errors}") };
        }
        table.add_row([
            kind.clone(),
            HumanCount(count.expected).to_string(),
            HumanCount(count.kept).to_string(),
            percent(count.kept, count.expected),
            why,
        ]);
    }
    table
}

/// Each dataset that rows came from: rows read, examples asked for and kept, and why the others were not used.
pub(crate) fn sets(ledger: &Ledger) -> Table {
    let mut table = table(&["dataset", "rows", "asked", "kept", "", "not used, by reason"]);
    for (key, count) in &ledger.sets {
        table.add_row([
            key.clone(),
            HumanCount(count.rows).to_string(),
            HumanCount(count.expected).to_string(),
            HumanCount(count.kept).to_string(),
            percent(count.kept, count.expected),
            reasons(&count.rejects),
        ]);
    }
    table
}

/// `3 no_pipe, 1 truncated`, the most frequent first.
pub(crate) fn reasons(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(**count));
    counts
        .iter()
        .map(|(word, count)| format!("{} {word}", HumanCount(**count)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A part as a whole percentage.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    // Counts stay far below 2^53.
    format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// `1 file`, `2 files`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(count as u64), if count == 1 { "" } else { "s" })
}
