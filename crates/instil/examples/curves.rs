//! One column of several JSON-lines files as curves:
//! `cargo run --release -p instil --example curves -- OUT.svg TITLE X Y NAME=FILE.jsonl…`.
//!
//! X and Y are keys of the lines, which become the names of the axes; lines that lack one are passed over. The logs of
//! trainings (`run/log.jsonl`) have `step`, `loss` and `validation_loss`.

use std::error::Error;
use std::path::Path;

use instil::chart::{Curve, write};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [to, title, x, y, files @ ..] = &arguments[..] else {
        return Err("wanted: OUT.svg TITLE X Y NAME=FILE.jsonl…".into());
    };
    let mut curves = Vec::new();
    for file in files {
        let (name, file) = file.split_once('=').ok_or(format!("`{file}` is no NAME=FILE"))?;
        let rows = std::fs::read_to_string(file)?;
        let rows = rows.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        let points = rows.iter().filter_map(|row| Some((row[x].as_f64()?, row[y].as_f64()?))).collect();
        curves.push(Curve { name: name.to_owned(), points });
    }
    Ok(write(Path::new(to), title, x, y, &curves)?)
}
