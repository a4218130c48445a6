//! `stats`: what came out.

use std::collections::BTreeSet;

use comfy_table::Table;
use indicatif::HumanCount;
use instil::Result;
use instil::stats::{Lengths, Share, Stats};

use crate::args::StatsArgs;
use crate::tables::{self, percent, reasons, table};
use crate::{exit, output};

/// A table of more sources than this is cut, and says so.
const SOURCES: usize = 24;

pub(crate) fn run(args: StatsArgs) -> Result<u8> {
    let stats = instil::stats::of(&args.dataset)?;
    if args.json {
        output::data(&serde_json::to_string(&stats).expect("stats are plain values"));
    } else {
        print(&stats);
    }
    Ok(exit::DONE)
}

fn print(stats: &Stats) {
    output::data(&format!(
        "{} rows, {} of them duplicates",
        HumanCount(stats.rows),
        HumanCount(stats.duplicates)
    ));
    if !stats.splits.is_empty() {
        let splits = stats.splits.iter().map(|(split, rows)| format!("{split} {}", HumanCount(*rows)));
        output::data(&format!("splits: {}", splits.collect::<Vec<_>>().join(", ")));
    }
    if let Some(report) = &stats.report {
        heading("samples");
        // Rows have no kinds, but come from datasets, or from files of some shape.
        let kinds = if report.ledger.kinds.is_empty() { tables::sets } else { tables::kinds };
        show(&kinds(&report.ledger));
        let unread: Vec<String> = report
            .ledger
            .stages
            .iter()
            .take(2)
            .filter(|s| !s.rejects.is_empty())
            .map(|s| reasons(&s.rejects))
            .collect();
        if !unread.is_empty() {
            output::data(&format!("not read: {}", unread.join(", ")));
        }
        if !report.ledger.losses.is_empty() {
            output::data(&format!("not carried over: {}", reasons(&report.ledger.losses)));
        }
        if !report.ledger.repairs.is_empty() {
            output::data(&format!("mended: {}", reasons(&report.ledger.repairs)));
        }
    }
    if !stats.sources.is_empty() {
        heading("kept by source");
        sources(stats);
    }
    heading("characters");
    let mut lengths = table(&["", "shortest", "median", "95 %", "longest"]);
    for (name, Lengths { min, median, p95, max }) in
        [("prompt", stats.prompt_chars), ("completion", stats.completion_chars)]
    {
        let counts = [min, median, p95, max].map(|count| HumanCount(count.into()).to_string());
        lengths.add_row([name.to_owned()].into_iter().chain(counts));
    }
    show(&lengths);
    let labelled: Vec<_> =
        stats.kinds.iter().filter_map(|(kind, of)| Some((kind, of.rows, of.labels.as_ref()?))).collect();
    if !labelled.is_empty() {
        heading("labels");
        let mut table = table(&["task", ""]);
        for (kind, rows, labels) in labelled {
            let mut labels: Vec<_> = labels.iter().collect();
            labels.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let shares = labels.iter().map(|(label, count)| format!("{label} {}", percent(**count, rows)));
            table.add_row([kind.clone(), shares.collect::<Vec<_>>().join(", ")]);
        }
        show(&table);
    }
    if !stats.openings.is_empty() {
        heading("common openings");
        let mut table = table(&["rows", ""]);
        for (opening, count) in &stats.openings {
            table.add_row([HumanCount(*count).to_string(), format!("{opening} …")]);
        }
        show(&table);
    }
}

fn sources(stats: &Stats) {
    let kinds: BTreeSet<&String> = stats.sources.values().flat_map(|kinds| kinds.keys()).collect();
    let header: Vec<&str> =
        ["source"].into_iter().chain(kinds.iter().map(|kind| kind.as_str())).chain(["all"]).collect();
    let mut table = table(&header);
    for (source, by_kind) in stats.sources.iter().take(SOURCES) {
        let cell = |share: &Share| percent(share.kept, share.kept + share.rejected);
        let cells = kinds.iter().map(|kind| by_kind.get(*kind).map_or_else(String::new, cell));
        let all = by_kind.values().fold(Share::default(), |sum, share| Share {
            kept: sum.kept + share.kept,
            rejected: sum.rejected + share.rejected,
        });
        let last = format!("{} of {}", HumanCount(all.kept), cell_total(all));
        table.add_row([source.clone()].into_iter().chain(cells).chain([last]));
    }
    show(&table);
    if stats.sources.len() > SOURCES {
        output::data(&format!("… and {} more sources (--json has them all)", stats.sources.len() - SOURCES));
    }
}

fn cell_total(share: Share) -> String {
    let total = share.kept + share.rejected;
    format!("{} ({})", HumanCount(total), percent(share.kept, total))
}

fn heading(name: &str) {
    output::data(&format!("\n{name}"));
}

fn show(table: &Table) {
    output::data(&table.trim_fmt());
}
