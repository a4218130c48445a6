//! A comparison as a page of Markdown.

use std::fmt::Write as _;

use super::{Comparison, OfArm, OnBenchmark, Verdict};

/// A page: what held and what didn't, then a table for each benchmark. `note` says when and where; the drawing is
/// expected as `plot.svg` beside it.
pub fn page(comparison: &Comparison, title: &str, note: &str) -> String {
    let mut out = String::new();
    // Writing to a text doesn't fail.
    let _ = write(&mut out, comparison, title, note);
    out
}

fn write(out: &mut String, comparison: &Comparison, title: &str, note: &str) -> std::fmt::Result {
    writeln!(out, "# {title}\n")?;
    if !note.is_empty() {
        writeln!(out, "{note}\n")?;
    }
    write_verdicts(out, comparison)?;
    writeln!(out, "\n![Differences with their intervals](plot.svg)")?;
    write_tables(out, comparison, "##")
}

/// A comparison as a section of another page, without a drawing: what held, then tables under headings of this level.
pub(crate) fn write_section(out: &mut String, comparison: &Comparison, level: &str) -> std::fmt::Result {
    write_verdicts(out, comparison)?;
    write_tables(out, comparison, level)
}

/// What held and what didn't.
fn write_verdicts(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let Comparison { against, benchmarks } = comparison;
    writeln!(out, "Each arm beside `{against}`:\n")?;
    for verdict in [Verdict::Better, Verdict::Worse, Verdict::NotShown] {
        let of = |benchmark: &OnBenchmark| -> Vec<String> {
            let told = |arm: &OfArm| {
                let difference = arm.difference.filter(|difference| difference.verdict == verdict)?;
                Some(format!("`{}` on {} ({})", arm.arm, name(benchmark), signed(difference.value)))
            };
            benchmark.arms.iter().filter_map(told).collect()
        };
        let found: Vec<String> = benchmarks.iter().flat_map(of).collect();
        if !found.is_empty() {
            writeln!(out, "- **{}**: {}", verdict.word(), found.join(", "))?;
        }
    }
    write_above(out, benchmarks)
}

/// A table for each benchmark, and how its figures came about.
fn write_tables(out: &mut String, comparison: &Comparison, level: &str) -> std::fmt::Result {
    let Comparison { against, benchmarks } = comparison;
    for benchmark in benchmarks {
        writeln!(out, "\n{level} {}\n", name(benchmark))?;
        if let Some(metric) = &benchmark.metric {
            writeln!(out, "`{metric}` over {} items.\n", benchmark.items)?;
        } else {
            writeln!(out, "The mean of the benchmarks' headline metrics.\n")?;
        }
        writeln!(out, "| arm | runs | value | ± over runs | 95 % | less `{against}` | 95 % | p | |")?;
        writeln!(out, "|---|---:|---:|---:|---|---:|---|---:|---|")?;
        for arm in &benchmark.arms {
            let deviation = arm.deviation.map_or(String::new(), |deviation| format!("{deviation:.4}"));
            let difference = arm.difference.map_or("| | |".to_owned(), |difference| {
                let (value, word) = (signed(difference.value), difference.verdict.word());
                format!("{value} | {} | {:.4} | {word}", span(difference.interval), difference.p)
            });
            let (runs, value, interval) = (arm.runs.len(), arm.value, span(arm.interval));
            writeln!(out, "| {} | {runs} | {value:.4} | {deviation} | {interval} | {difference} |", arm.arm)?;
        }
        for (baseline, value) in [("the commonest answer", benchmark.majority), ("chance", benchmark.random)]
        {
            if let Some(value) = value {
                writeln!(out, "| *{baseline}* | | {value:.4} | | | | | | |")?;
            }
        }
    }
    writeln!(
        out,
        "\nIntervals: percentile bootstrap over items and runs. p: approximate randomisation over items, corrected by Holm's method \
         for all rows of this page. Better or worse is what has an interval without zero and p below 0.05; above chance and \
         the commonest answer is what has an interval above both."
    )?;
    let single = benchmarks.iter().flat_map(|benchmark| &benchmark.arms).any(|arm| arm.runs.len() == 1);
    if single {
        writeln!(
            out,
            "An arm of one run has an interval over items alone: what another seed would do isn't in it."
        )?;
    }
    Ok(())
}

/// Which arms are worth more than an answer that needs no model: "better" alone doesn't say it.
fn write_above(out: &mut String, benchmarks: &[OnBenchmark]) -> std::fmt::Result {
    if benchmarks.iter().all(|benchmark| benchmark.without_a_model().is_none()) {
        return Ok(());
    }
    let of = |benchmark: &OnBenchmark| -> Vec<String> {
        let Some(without) = benchmark.without_a_model() else { return Vec::new() };
        let above = benchmark.arms.iter().filter(|arm| arm.interval.0 > without);
        above.map(|arm| format!("`{}` on {}", arm.arm, name(benchmark))).collect()
    };
    let above: Vec<String> = benchmarks.iter().flat_map(of).collect();
    let found = if above.is_empty() { "none".to_owned() } else { above.join(", ") };
    writeln!(out, "- **above chance and the commonest answer**: {found}")
}

pub(super) fn name(benchmark: &OnBenchmark) -> &str {
    benchmark.benchmark.as_deref().unwrap_or("all together")
}

fn signed(value: f64) -> String {
    format!("{value:+.4}")
}

fn span((low, high): (f64, f64)) -> String {
    format!("{low:.4} to {high:.4}")
}
