//! `check FILE` of a dataset: the shape of its rows, and what is wrong with them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use indicatif::HumanCount;
use instil::convert::record::{Record, Role};
use instil::convert::{Finding, Severity};
use instil::near::NearTexts;
use instil::pipeline::convert::{Checked, check_files};
use instil::record::Origin;
use instil::{Result, chunk};
use serde_json::json;

use crate::args::CheckArgs;
use crate::commands::convert::{FILES, found};
use crate::{exit, output, tables};

/// How many findings of one kind are shown.
const SHOWN: u64 = 3;
/// The share of runs of words in common from which on two rows are nearly the same.
const NEAR: f64 = 0.8;

pub(crate) fn run(args: &CheckArgs) -> Result<u8> {
    let mut counts: BTreeMap<(Severity, &'static str), u64> = BTreeMap::new();
    let (mut rows, mut whole) = (0, 0);
    let mut compared = Compared::new(args)?;
    let shapes =
        check_files(&args.file.to_string_lossy(), args.from.as_deref(), u64::MAX, &mut |mut checked| {
            rows += 1;
            compared.look(&mut checked);
            whole +=
                u64::from(checked.findings.iter().all(|finding| finding.severity() == Severity::Warning));
            for finding in &checked.findings {
                let count = counts.entry((finding.severity(), finding.code)).or_default();
                *count += 1;
                if args.json || *count <= SHOWN {
                    show(checked.origin, finding, args.json);
                }
            }
        })?;
    let is_any = |wanted: Severity| counts.keys().any(|(severity, _)| *severity == wanted);
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
        for line in found(&shapes, FILES) {
            output::data(&line);
        }
        output::data(&format!("{} rows, {} without an error", HumanCount(rows), HumanCount(whole)));
    }
    Ok(if is_any(Severity::Error) {
        exit::NOT_DONE
    } else if args.strict && is_any(Severity::Warning) {
        exit::LIMIT_MISSED
    } else {
        exit::DONE
    })
}

fn show(origin: &Origin, finding: &Finding, as_json: bool) {
    let Finding { code, path, message, hint, .. } = finding;
    let severity = finding.severity().word();
    if as_json {
        let object = json!({
            "file": origin.source.as_ref(), "row": origin.row, "severity": severity, "code": code, "path": path,
            "message": message, "hint": hint,
        });
        return output::data(&object.to_string());
    }
    let row = origin.row.map_or(String::new(), |row| format!(" row {row}"));
    let path = if path.is_empty() { String::new() } else { format!(" {path}") };
    output::data(&format!("{severity} {code}: {}{row}{path}: {message}", origin.source));
}

/// What rows are compared with: each other, another dataset, a limit.
struct Compared {
    /// Rows are told apart by 64 bits: of a million, two are taken for the same by chance once in 40 million files.
    rows: HashSet<u64>,
    /// The texts of rows, and where each was read.
    near: Option<(NearTexts, Vec<Origin>)>,
    /// The prompts of another dataset, by the same 64 bits, and its name.
    against: Option<(HashSet<u64>, String)>,
    length: Option<(chunk::Tokenizer, usize)>,
}

impl Compared {
    fn new(args: &CheckArgs) -> Result<Self> {
        let length = match (&args.tokenizer, args.max_tokens) {
            (Some(path), Some(most)) => Some((chunk::load_tokenizer(path)?, most)),
            _ => None,
        };
        let mut compared = Self {
            rows: HashSet::new(),
            near: args.near.then(|| (NearTexts::new(NEAR), Vec::new())),
            against: None,
            length,
        };
        if let Some(other) = &args.against {
            let mut prompts = HashSet::new();
            check_files(&other.to_string_lossy(), None, u64::MAX, &mut |checked| {
                prompts.extend(checked.records.iter().filter_map(prompt));
            })?;
            compared.against = Some((prompts, other.display().to_string()));
        }
        Ok(compared)
    }

    /// Adds what is found to what was found in the row itself.
    fn look(&mut self, checked: &mut Checked<'_>) {
        let Some(row) = &checked.row else { return };
        let mut warn = |code, message: String, hint| {
            let path = String::new();
            checked.findings.push(Finding { code, reason: None, path, message, hint });
        };
        let is_again = !self.rows.insert(hash(&row.to_string()));
        if is_again {
            let hint = "leave it out, unless it is to count twice";
            warn("duplicate_row", "the same row came before".to_owned(), hint);
        }
        if let Some((prompts, name)) = &self.against
            && checked.records.iter().filter_map(prompt).any(|prompt| prompts.contains(&prompt))
        {
            let hint = "a model that has seen it can't be measured by it";
            warn("overlap", format!("its prompt is in `{name}` too"), hint);
        }
        for record in &checked.records {
            let text = text(record);
            if let Some((texts, places)) = &mut self.near {
                let near = texts.push(&text);
                places.push(checked.origin.clone());
                if let Some(near) = near.filter(|_| !is_again) {
                    let Origin { source, row } = &places[near.number];
                    let row = row.map_or(String::new(), |row| format!(" row {row}"));
                    let share = near.similarity * 100.0;
                    let message = format!("some {share:.0} % of it stands in {source}{row}");
                    warn("near_duplicate", message, "leave it out, unless the difference is to be learnt");
                }
            }
            if let Some((tokenizer, most)) = &self.length {
                let tokens = chunk::count_tokens(tokenizer, &text);
                if tokens > *most {
                    let message = format!("it has {tokens} tokens, and {most} are the most");
                    warn(
                        "too_long",
                        message,
                        "a trainer cuts it or leaves it out; cut it where it may be cut",
                    );
                }
            }
        }
    }
}

/// What is said in all turns, with the standing instructions; a task's definition is not of the row alone.
fn text(record: &Record) -> String {
    let turns = record.turns.iter().map(|turn| turn.content.text());
    record.system.as_deref().into_iter().chain(turns).collect::<Vec<_>>().join("\n")
}

/// What is asked, whatever its blanks; none where nobody asks.
fn prompt(record: &Record) -> Option<u64> {
    let asked = record.turns.iter().filter(|turn| turn.role == Role::User).map(|turn| turn.content.text());
    let words: Vec<&str> = asked.flat_map(str::split_whitespace).collect();
    (!words.is_empty()).then(|| hash(&words.join(" ")))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
