//! What `eval` prints.

use std::collections::BTreeMap;
use std::path::Path;

use indicatif::HumanCount;
use instil::Result;
use instil::benchmark::alignment::{Alignment, Change, Gain, alignments};
use instil::benchmark::item::Ask;
use instil::benchmark::report::{Number, Report};
use instil::benchmark::run::{Answer, Said};
use instil::benchmark::{Benchmark, built_in};
use serde_json::{Map, Value, json};

use super::{Asked, shown};
use crate::tables::{plural, reasons, table};
use crate::{exit, output};

/// How many groups a table has at most.
const GROUPS: usize = 40;

/// The built-in benchmarks.
pub(super) fn list(as_json: bool) {
    let mut rows = table(&["benchmark", "metrics", "prompts", ""]);
    for name in built_in::names() {
        let benchmark = Benchmark::find(name).expect("what is built in is read by a test");
        let metrics: Vec<&str> = benchmark.metrics.iter().map(|metric| metric.name()).collect();
        let prompts = benchmark.prompts().count();
        if as_json {
            let about = json!({
                "name": name, "metrics": metrics, "prompts": prompts, "about": benchmark.about, "source": benchmark.source,
            });
            output::data(&about.to_string());
        } else {
            rows.add_row([name.to_owned(), metrics.join(", "), prompts.to_string(), benchmark.about]);
        }
    }
    if as_json {
        return;
    }
    output::data(&rows.trim_fmt());
    for (suite, names) in built_in::suites() {
        output::data(&format!("suite `{suite}`: {}", names.join(", ")));
    }
}

/// What would be asked.
pub(super) fn questions(asked: &[Asked<'_>], as_json: bool) -> Result<u8> {
    for one in asked {
        let rows = one.rows()?;
        if !as_json {
            let files: Vec<String> =
                rows.files.iter().take(3).map(|file| format!("`{}`", shown(&file.path))).collect();
            let more = if rows.files.len() > 3 { ", …" } else { "" };
            let benchmark = one.benchmark;
            let about = [&benchmark.name, &benchmark.about, &benchmark.source].map(String::as_str);
            output::data(&about.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" | "));
            let read = match files.is_empty() {
                true => "makes its rows".to_owned(),
                false => format!("reads {}{more}", files.join(", ")),
            };
            output::data(&format!("{read}, wrapper `{}`", one.settings.wrap.name()));
        }
        let names: Vec<&str> = one.benchmark.prompts().collect();
        let has_rules = one.benchmark.rules().next().is_some();
        let mut scores = Vec::new();
        let mut count = 0;
        for row in rows {
            if count >= one.settings.limit || !as_json && count > 0 && !has_rules {
                break;
            }
            let Ok(items) = row.and_then(|row| one.benchmark.items(&row, &one.settings.wrap)) else {
                continue;
            };
            count += 1;
            if has_rules {
                // What the right answers follow is known before any model is asked.
                let unsaid = |item| Answer { item, row: 0, said: Said::Nothing(String::new()) };
                scores.extend(
                    items.iter().cloned().map(unsaid).map(|answer| one.benchmark.aligned(&answer, None)),
                );
            }
            if !as_json && count > 1 {
                continue;
            }
            for item in items {
                let name = names[item.prompt];
                if !as_json {
                    output::data(&format!("\n--- {name}, row {}\n{}", item.id, item.ask.prompt()));
                    output::data(&format!("--- right: {}", item.ask.right()));
                    continue;
                }
                let mut line = Map::new();
                line.insert("benchmark".into(), one.benchmark.name.as_str().into());
                line.insert("id".into(), item.id.as_str().into());
                line.insert("name".into(), name.into());
                line.insert("prompt".into(), item.ask.prompt().into());
                line.insert("completion".into(), item.ask.right().trim().into());
                if let Ask::Choice { choices, gold, .. } = &item.ask {
                    line.insert("choices".into(), json!(choices));
                    line.insert("gold".into(), json!(gold));
                }
                if let Ask::Text { references, .. } = &item.ask {
                    line.insert("references".into(), json!(references));
                }
                output::data(&Value::Object(line).to_string());
            }
        }
        if has_rules && !as_json {
            output::data(&format!("\nwhat the right answers of {} rows follow:", HumanCount(count)));
            followed(&one.benchmark.name, &alignments(one.benchmark, &scores, 0), false);
        }
    }
    Ok(exit::DONE)
}

/// How far answers, and the right ones, follow each rule.
fn followed(benchmark: &str, alignments: &[Alignment], is_answered: bool) {
    let heads: &[&str] = match is_answered {
        true => &["rule of", "", "answers follow", "95 %", "right ones (ceiling)", "95 %", "random"],
        false => &["rule of", "", "right ones (ceiling)", "95 %", "random"],
    };
    let mut rows = table(heads);
    for (place, one) in alignments.iter().enumerate() {
        let name = if place == 0 { benchmark } else { "" };
        let mut cells = vec![name.to_owned(), one.rule.clone()];
        if is_answered {
            cells.extend([format!("{:.4}", one.follows), reach(one.interval)]);
        }
        cells.extend([format!("{:.4}", one.ceiling), reach(one.ceiling_interval)]);
        cells.push(one.random.map_or_else(String::new, |random| format!("{random:.4}")));
        rows.add_row(cells);
    }
    output::data(&rows.trim_fmt());
    for one in alignments {
        // The lower end of the interval, and chance without one.
        if one.random.is_some_and(|random| one.ceiling_interval.is_some_and(|(low, _)| low <= random)) {
            output::data(&format!(
                "the right answers follow `{}` no more than chance would, as far as these rows can tell: a template of this rule has nothing to give",
                one.rule
            ));
        }
    }
}

fn reach(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(String::new, |(low, high)| format!("{low:.4} to {high:.4}"))
}

/// What a tuned model does otherwise than its base.
pub(super) fn gains(gained: &BTreeMap<String, Vec<Gain>>) {
    for (benchmark, gains) in gained {
        let number = |change: Change| format!("{:+.4} ({})", change.value, reach(change.interval));
        let share = |change: Option<Change>, of: u64| match change {
            Some(change) => format!("{:.4} of {of} ({})", change.value, reach(change.interval)),
            None => "of none".to_owned(),
        };
        let mut rows =
            table(&[benchmark, "follows", "worth", "explains of what became right", "of what became wrong"]);
        for gain in gains {
            rows.add_row([
                gain.rule.clone(),
                number(gain.follows),
                number(gain.worth),
                share(gain.explained, gain.turned.0),
                share(gain.misled, gain.turned.1),
            ]);
        }
        output::data(&format!("\n{}", rows.trim_fmt()));
    }
}

/// The table of numbers.
pub(super) fn numbers(reports: &[Report]) {
    let mut rows =
        table(&["benchmark", "metric", "score", "95 %", "prompts ±", "majority", "random", "rows"]);
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    for report in reports {
        for (place, Number { metric, value, interval, spread, majority, random, .. }) in
            report.metrics.iter().enumerate()
        {
            let (name, items) = match place {
                0 => (report.benchmark.clone(), HumanCount(report.account.items).to_string()),
                _ => (String::new(), String::new()),
            };
            let interval = interval.map_or_else(String::new, |(low, high)| format!("{low:.4} to {high:.4}"));
            rows.add_row([
                name,
                metric.name().to_owned(),
                number(*value),
                interval,
                number(*spread),
                number(*majority),
                number(*random),
                items,
            ]);
        }
    }
    output::data(&rows.trim_fmt());
    for report in reports.iter().filter(|report| report.groups.len() > 1) {
        let metrics: Vec<&str> = report.metrics.iter().map(|number| number.metric.name()).collect();
        let header: Vec<&str> =
            [report.benchmark.as_str()].into_iter().chain(metrics.iter().copied()).chain(["rows"]).collect();
        let mut rows = table(&header);
        for (name, group) in report.groups.iter().take(GROUPS) {
            let cells = metrics.iter().map(|metric| number(group.metrics.get(metric).copied()));
            rows.add_row([name.clone()].into_iter().chain(cells).chain([HumanCount(group.rows).to_string()]));
        }
        output::data(&format!("\n{}", rows.trim_fmt()));
        if report.groups.len() > GROUPS {
            output::data(&format!("… and {} more (--json has them all)", report.groups.len() - GROUPS));
        }
    }
    for report in reports.iter().filter(|report| !report.alignment.is_empty()) {
        output::data("");
        followed(&report.benchmark, &report.alignment, true);
    }
    for (suite, mean) in suites(reports) {
        output::data(&format!("\nmean of {suite}, by the first metric of each: {mean:.4}"));
    }
}

/// The mean headline of each suite that is there in full.
pub(super) fn suites(reports: &[Report]) -> BTreeMap<&'static str, f64> {
    let headline = |name: &str| {
        let report = reports.iter().find(|report| report.benchmark == name)?;
        report.metrics.first()?.value
    };
    built_in::suites()
        .filter_map(|(suite, names)| {
            let values: Vec<f64> = names.iter().map(|name| headline(name)).collect::<Option<_>>()?;
            Some((suite, values.iter().sum::<f64>() / values.len() as f64))
        })
        .collect()
}

/// What was left out or is to be known of the numbers, on stderr.
pub(super) fn account(reports: &[Report], asked: &[Asked<'_>], folder: Option<&Path>, seconds: f64) {
    for (report, one) in reports.iter().zip(asked) {
        let (name, account) = (&report.benchmark, &report.account);
        let count = |number: u64| HumanCount(number).to_string();
        if !account.rejects.is_empty() {
            let counts: BTreeMap<String, u64> =
                account.rejects.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
            output::talk(&format!("{name}: rows not asked about: {}", reasons(&counts)));
        }
        if account.beyond_window > 0 {
            let what =
                format!("{} questions are longer than the model's window", count(account.beyond_window));
            output::talk(&format!("{name}: {what}: it saw the end of each, half a window at least"));
        }
        if account.refused > 0 {
            let (number, why) = (account.refused, account.refused_why.as_deref().unwrap_or_default());
            let what = if number == 1 {
                "question was refused, and counts"
            } else {
                "questions were refused, and count"
            };
            output::talk(&format!("{name}: {} {what} as wrong: {why}", count(number)));
        }
        if account.failed > 0 {
            let what = format!("{} questions failed and count as wrong", count(account.failed));
            output::talk(&format!("{name}: {what}; the same command asks only for those again"));
        }
        if one.settings.together {
            output::talk(&format!("{name}: prompt and choice were encoded together, without an end of text"));
        }
        if one.settings.in_words {
            output::talk(&format!("{name}: answers were written, not ranked"));
        }
    }
    let place = folder.map_or_else(String::new, |folder| format!(" in `{}`", shown(folder)));
    output::talk(&format!("{}{place}, {seconds:.1} s", plural(reports.len(), "benchmark")));
}
