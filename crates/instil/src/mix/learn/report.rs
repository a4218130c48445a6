//! What was learnt, in words and tables.

use std::fmt::Write;

use super::evidence::{Evidence, Matrix};
use super::{Learn, Mode};
use crate::compare;
use crate::mix::proportions::means;

/// A page of Markdown with everything that the evidence holds. `has_plot` says whether `plot.svg` lies beside it, `note` when
/// and where it was made.
pub fn page(learn: &Learn, evidence: &Evidence, has_plot: bool, note: &str) -> String {
    let mut out = String::new();
    write(learn, evidence, has_plot, note, &mut out).expect("a String takes any text");
    out
}

fn write(
    learn: &Learn,
    evidence: &Evidence,
    has_plot: bool,
    note: &str,
    out: &mut String,
) -> std::fmt::Result {
    let Evidence { sources, tasks, weights, items, .. } = evidence;
    writeln!(out, "# A mix of {} sources\n", sources.len())?;
    let how = match evidence.mode {
        Mode::LabelFree => "from the agreements of models that were each tuned on one source, without labels",
        Mode::Labelled => "from how often models that were each tuned on one source are right",
        Mode::Law => "by a log-linear law, fitted on the losses of single sources and some mixes",
    };
    writeln!(out, "{note} Its proportions were learnt {how}.\n")?;
    for note in &evidence.notes {
        writeln!(out, "> {note}\n")?;
    }
    writeln!(out, "## Proportions\n")?;
    writeln!(out, "| mix | {} |\n|---|{}", sources.join(" | "), "---:|".repeat(sources.len()))?;
    for mix in &evidence.mixes {
        let share = |source: usize| match mix.intervals.get(source) {
            Some((low, high)) => format!("{:.3} ({low:.3} to {high:.3})", mix.shares[source]),
            None => format!("{:.3}", mix.shares[source]),
        };
        let cells: Vec<String> = (0..sources.len()).map(share).collect();
        writeln!(out, "| {} | {} |", mix.name, cells.join(" | "))?;
    }
    if evidence.mode != Mode::Law {
        let proportions = &learn.proportions;
        writeln!(
            out,
            "\nA share is as e to the power of {} times the mean accuracy, and at least {}. In brackets: 95 % of bootstrap draws over items.",
            proportions.eta, proportions.floor
        )?;
    }
    if let Some(matrix) = &evidence.estimated {
        let title = "## Accuracies by agreement, for ranking alone";
        table(title, matrix, evidence, out)?;
        let said = |value: &Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.2}"));
        if let Some((all, by_task)) = evidence.rank_correlation.split_last() {
            let of: Vec<String> =
                tasks.iter().zip(by_task).map(|(task, value)| format!("{task} {}", said(value))).collect();
            writeln!(
                out,
                "\nSpearman's correlation with the order by labels: {}; of the means {}.",
                of.join(", "),
                said(all)
            )?;
        }
    }
    if let Some(matrix) = &evidence.measured {
        table("## Accuracies by labels", matrix, evidence, out)?;
        if let Some(base) = &evidence.base {
            let of: Vec<String> =
                tasks.iter().zip(base).map(|(task, value)| format!("{task} {value:.3}")).collect();
            writeln!(out, "\nThe base: {}.", of.join(", "))?;
        }
    }
    let items: Vec<String> =
        tasks.iter().zip(items).map(|(task, items)| format!("{items} of {task}")).collect();
    writeln!(out, "\nItems: {}.", items.join(", "))?;
    if let Some(law) = &evidence.law {
        writeln!(out, "\n## The law\n\n| {} | {} |", sources.join(" | "), tasks.join(" | "))?;
        writeln!(out, "|{}", "---:|".repeat(sources.len() + tasks.len()))?;
        for (shares, losses) in &law.runs {
            let cells: Vec<String> = shares.iter().chain(losses).map(|value| format!("{value:.3}")).collect();
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
        let of = |values: &[f64], digits: usize, unit: &str, factor: f64| -> String {
            let one = |(task, value): (&String, &f64)| format!("{task} {:.digits$}{unit}", factor * value);
            tasks.iter().zip(values).map(one).collect::<Vec<_>>().join(", ")
        };
        writeln!(
            out,
            "\nThe mean error of the law on runs that were left out: {}. It expects of the learned mix the losses {}.",
            of(&law.errors, 1, " %", 100.0),
            of(&law.expected, 3, "", 1.0)
        )?;
    }
    if !evidence.compared.is_empty() {
        writeln!(out, "\n## What models are worth that were tuned on the mixes\n")?;
        writeln!(out, "| mix | {} | mean | ± over seeds |", tasks.join(" | "))?;
        writeln!(out, "|---|{}---:|---:|", "---:|".repeat(tasks.len()))?;
        for compared in &evidence.compared {
            let of_task = |task: usize| {
                let all: Vec<f64> = compared.seeds.iter().map(|(_, values)| values[task]).collect();
                format!("{:.3}", all.iter().sum::<f64>() / all.len().max(1) as f64)
            };
            let cells: Vec<String> = (0..tasks.len()).map(of_task).collect();
            let deviation = compared.deviation.map_or(String::new(), |value| format!("{value:.3}"));
            writeln!(
                out,
                "| {} | {} | {:.3} | {deviation} |",
                compared.name,
                cells.join(" | "),
                compared.mean
            )?;
        }
        writeln!(
            out,
            "\n{} rows each, {} seeds, on {} of each task that no proportions were learnt on.",
            learn.rows,
            learn.compare.len(),
            learn.task.iter().map(|task| task.test_items.to_string()).collect::<Vec<_>>().join(", ")
        )?;
        if has_plot {
            writeln!(out, "\n![What models are worth that were tuned on the mixes](plot.svg)")?;
        }
    }
    if let Some(comparison) = &evidence.comparison {
        writeln!(out, "\n## Beside each other\n\n`no mix` is the base, untuned.\n")?;
        compare::write_section(out, comparison, "###")?;
    }
    if weights.windows(2).any(|pair| pair[0] != pair[1]) {
        let of: Vec<String> =
            tasks.iter().zip(weights).map(|(task, weight)| format!("{task} {weight}")).collect();
        writeln!(out, "\nTasks count as {}.", of.join(", "))?;
    }
    Ok(())
}

fn table(title: &str, matrix: &Matrix, evidence: &Evidence, out: &mut String) -> std::fmt::Result {
    let Evidence { sources, tasks, .. } = evidence;
    // Tasks without a number don't count.
    let is_counted = |task: usize| !matrix.values.first().is_some_and(|row| row[task].is_nan());
    let weight = |(task, weight): (usize, &f64)| if is_counted(task) { *weight } else { 0.0 };
    let weights: Vec<f64> = evidence.weights.iter().enumerate().map(weight).collect();
    writeln!(out, "\n{title}\n\n| tuned on | {} | mean |", tasks.join(" | "))?;
    writeln!(out, "|---|{}---:|", "---:|".repeat(tasks.len()))?;
    let means = means(&matrix.values, &weights);
    for (source, name) in sources.iter().enumerate() {
        let cell = |task: usize| {
            let (low, high) = matrix.intervals[source][task];
            match matrix.values[source][task] {
                value if value.is_nan() => "none".to_owned(),
                value => format!("{value:.3} ({low:.3} to {high:.3})"),
            }
        };
        let cells: Vec<String> = (0..tasks.len()).map(cell).collect();
        writeln!(out, "| {name} | {} | {:.3} |", cells.join(" | "), means[source])?;
    }
    Ok(())
}
