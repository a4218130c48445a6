//! Rows on disk, read back: what `stats` and `trace` look at.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Map, Value};

use crate::convert::record::{Preference, Turn};
use crate::convert::shape_of;
use crate::error::{Error, Result};

/// A row as a JSON object, its columns in their order.
pub type Object = Map<String, Value>;

/// The rows of a `.parquet`, `.jsonl`, `.json` or `.csv` file, the text ones also as .gz or .zst.
///
/// # Errors
/// When the file can't be opened or has another ending; a row that can't be read is an error too, since
/// these are files that instil wrote.
pub fn of_file(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Object>>>> {
    let name = path.to_string_lossy().into_owned();
    let failed = move |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::input(format!("failed to read `{name}`")).because(cause)
    };
    if path.extension().is_some_and(|ending| ending == "parquet") {
        let file = File::open(path).map_err(|e| failed(e.into()))?;
        let reader = SerializedFileReader::new(file).map_err(|e| failed(e.into()))?;
        let groups = reader.num_row_groups();
        let rows = (0..groups).flat_map(move |group| {
            let rows = reader
                .get_row_group(group)
                .and_then(|group| group.get_row_iter(None)?.collect::<Result<Vec<_>, _>>());
            match rows {
                Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(e) => vec![Err(e)],
            }
        });
        return Ok(Box::new(rows.map(move |row| match row.map_err(|e| failed(e.into()))?.to_json_value() {
            Value::Object(object) => Ok(object),
            other => unreachable!("a parquet row is an object, not {other}"),
        })));
    }
    let file = File::open(path).map_err(|e| failed(e.into()))?;
    let name = path.to_string_lossy();
    let (inner, reader): (&str, Box<dyn Read>) = if let Some(inner) = name.strip_suffix(".gz") {
        (inner, Box::new(flate2::read::MultiGzDecoder::new(file)))
    } else if let Some(inner) = name.strip_suffix(".zst") {
        (inner, Box::new(zstd::Decoder::new(file).map_err(|e| failed(e.into()))?))
    } else {
        (&*name, Box::new(file))
    };
    let reader = BufReader::new(reader);
    if inner.ends_with(".jsonl") {
        return Ok(Box::new(reader.lines().map(move |line| {
            let line = line.map_err(|e| failed(e.into()))?;
            serde_json::from_str(&line).map_err(|e| failed(e.into()))
        })));
    }
    if inner.ends_with(".json") {
        let rows: Vec<Object> = serde_json::from_reader(reader).map_err(|e| failed(e.into()))?;
        return Ok(Box::new(rows.into_iter().map(Ok)));
    }
    if inner.ends_with(".csv") {
        let mut rows = csv::Reader::from_reader(reader);
        let names = rows.headers().map_err(|e| failed(e.into()))?.clone();
        return Ok(Box::new(rows.into_records().map(move |row| {
            let row = row.map_err(|e| failed(e.into()))?;
            let cells = names.iter().zip(row.iter());
            Ok(cells.map(|(name, value)| (name.to_owned(), Value::String(value.to_owned()))).collect())
        })));
    }
    Err(Error::input(format!("`{}` is no file of rows", path.display()))
        .with_hint("there are .parquet, .jsonl, .json and .csv, the text ones also with .gz or .zst"))
}

/// Prompt and completion of a row in any of the [formats](crate::format), or of any other
/// [shape](crate::convert) that is known: what is given and what is to be learnt, each as one text. A text
/// without a prompt is all completion; of two answers the completion is the better one.
pub fn prompt_and_completion(row: &Object) -> Option<(String, String)> {
    of_format(row).or_else(|| of_shape(row))
}

fn of_shape(row: &Object) -> Option<(String, String)> {
    let record = shape_of(row)?.read(row).into_iter().find_map(Result::ok)?;
    let at = record.completion_at().unwrap_or(record.turns.len());
    let (given, learnt) = record.turns.split_at(at.min(record.turns.len()));
    let learnt = match &record.preference {
        Some(Preference::Pair { chosen, .. }) => chosen,
        _ => learnt,
    };
    let said = |turns: &[Turn]| turns.iter().map(|turn| turn.content.text().to_owned()).collect::<Vec<_>>();
    let mut prompt: Vec<String> =
        [record.system.as_deref(), record.definition()].into_iter().flatten().map(str::to_owned).collect();
    prompt.extend(said(given));
    prompt.retain(|text| !text.is_empty());
    let mut completion = said(learnt);
    if let Some(Preference::Steps(steps)) = &record.preference {
        completion.extend(steps.iter().map(|step| step.text.clone()));
    }
    Some((prompt.join("\n\n"), completion.join("\n\n")))
}

fn of_format(row: &Object) -> Option<(String, String)> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    if let Some(Value::Array(messages)) = row.get("messages") {
        let said = |role: &str| {
            let turn = messages.iter().find(|turn| turn.get("role").and_then(Value::as_str) == Some(role))?;
            turn.get("content")?.as_str()
        };
        return Some((said("user")?.to_owned(), said("assistant")?.to_owned()));
    }
    if let Some(instruction) = text("instruction") {
        let input = text("input").unwrap_or_default();
        let prompt =
            if input.is_empty() { instruction.to_owned() } else { format!("{instruction}\n\n{input}") };
        return Some((prompt, text("output")?.to_owned()));
    }
    match (text("prompt"), text("completion"), text("input"), text("output")) {
        (Some(prompt), Some(completion), ..) | (_, _, Some(prompt), Some(completion)) => {
            Some((prompt.to_owned(), completion.to_owned()))
        }
        _ => None,
    }
}

/// A text column of a row of instil's own, empty where it is null.
pub(crate) fn text<'a>(row: &'a Object, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}
