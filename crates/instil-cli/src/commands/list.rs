//! `list`: the names that flags and reports use.

use instil::convert::SHAPES;
use instil::format::Format;
use instil::parse::Repair;
use instil::reject::Reason;
use instil::rules::Rules;
use instil::{Result, TaskKind};
use serde_json::{Value, json};

use crate::args::{ListArgs, Listed};
use crate::{exit, output};

pub(crate) fn run(args: ListArgs) -> Result<u8> {
    let rows: Vec<Value> = match args.what {
        Listed::Tasks => TaskKind::ALL
            .iter()
            .map(|kind| {
                json!({
                    "name": kind.short(),
                    "full": kind.full(),
                    "rules": if Rules::kinds().contains(kind) { "rules" } else { "" },
                    "about": kind.about(),
                })
            })
            .collect(),
        Listed::Formats => Format::ALL
            .iter()
            .map(|format| json!({"name": format.name(), "about": format.about()}))
            .collect(),
        Listed::Shapes => SHAPES
            .iter()
            .map(|shape| json!({"name": shape.name, "also": shape.also.join(" "), "about": shape.about}))
            .collect(),
        Listed::Templates => templates(&args)?,
        Listed::Rejects => Reason::ALL
            .iter()
            .map(|reason| json!({"name": reason.word(), "stage": reason.stage().name(), "about": reason.about()}))
            .collect(),
        Listed::Repairs => Repair::ALL
            .iter()
            .map(|repair| json!({"name": repair.word(), "about": repair.about()}))
            .collect(),
    };
    if args.json {
        for row in &rows {
            output::data(&row.to_string());
        }
        return Ok(exit::DONE);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    for row in &rows {
        let cells = row.as_object().expect("rows are objects").values();
        table.add_row(cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()));
    }
    output::data(&table.trim_fmt());
    Ok(exit::DONE)
}

/// The templates of the files that are named, with the kind of task where that is known.
fn templates(args: &ListArgs) -> Result<Vec<Value>> {
    let collection = instil::run::collection(&args.templates)?;
    if let Some(key) = &args.dataset {
        collection.dataset(key)?;
    }
    let kinds: std::collections::HashMap<_, _> = instil::template::remix::invert(&collection, false)
        .inverted
        .into_iter()
        .map(|inverted| ((inverted.key, inverted.template), inverted.kind))
        .collect();
    Ok(collection
        .templates()
        .filter(|template| args.dataset.as_deref().is_none_or(|key| key == &*template.dataset))
        .map(|template| {
            let kind = kinds.get(&(template.dataset.clone(), template.name.clone())).copied();
            json!({
                "dataset": &*template.dataset,
                "name": template.name,
                "task": template.task.or(kind).map_or("", |kind| kind.short()),
            })
        })
        .collect())
}
