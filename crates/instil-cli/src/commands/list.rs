//! `list`: the names that flags and reports use.

use std::path::Path;
use std::sync::Arc;

use instil::convert::SHAPES;
use instil::cook::{
    Curriculum, Plan, Pool, SYNTHETIC_WORDS, Script, Settings, Split, Stream, Template, Wording,
};
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
        Listed::Templates if args.templates.is_empty() => {
            return cooked(instil::cook::templates(), args.json);
        }
        Listed::Templates if args.templates.iter().all(|path| path.ends_with(".star")) => {
            return cooked(of_scripts(&args.templates)?, args.json);
        }
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

/// The templates of these scripts.
fn of_scripts(paths: &[String]) -> Result<Vec<Arc<dyn Template>>> {
    let mut found: Vec<Arc<dyn Template>> = Vec::new();
    for path in paths {
        found.extend(Script::open(Path::new(path))?.into_iter().map(|own| own as Arc<dyn Template>));
    }
    Ok(found)
}

/// Templates of `cook`, each with its rule, what can be set and a sample.
fn cooked(templates: Vec<Arc<dyn Template>>, as_json: bool) -> Result<u8> {
    let pool = Arc::new(Pool::synthetic(SYNTHETIC_WORDS)?);
    for template in templates {
        let knobs = template.knobs();
        let stream = Stream::new(Plan {
            settings: Curriculum::constant(Settings::new(knobs)),
            template: Arc::clone(&template),
            pool: Arc::clone(&pool),
            wording: Wording::Bare,
            seed: 0,
            split: Split::Train,
        })?;
        let example = super::cook::example(&stream);
        if as_json {
            let knobs = knobs.iter().map(|knob| {
                json!({
                    "name": knob.name, "about": knob.about, "default": knob.show(knob.default),
                    "limits": knob.show(knob.limits),
                })
            });
            let row = json!({
                "name": template.name(), "family": template.family().name(), "about": template.about(),
                "stands_for": template.stands_for(), "knobs": knobs.collect::<Vec<_>>(), "example": example,
            });
            output::data(&row.to_string());
            continue;
        }
        output::data(&format!("{} ({}): {}", template.name(), template.family().name(), template.about()));
        if !template.stands_for().is_empty() {
            output::data(&format!("    for {}", template.stands_for()));
        }
        for knob in knobs {
            let about = if knob.about.is_empty() { String::new() } else { format!(": {}", knob.about) };
            output::data(&format!("    {}={}{about}", knob.name, knob.show(knob.default)));
        }
        let text = |key: &str| example[key].as_str().unwrap_or_default().to_owned();
        for line in text("prompt").lines().filter(|line| !line.trim().is_empty()) {
            let shown: String = line.chars().take(SHOWN).collect();
            output::data(&format!("    | {shown}{}", if shown.len() < line.len() { " …" } else { "" }));
        }
        output::data(&format!("    => {}\n", text("completion").trim()));
    }
    Ok(exit::DONE)
}

/// How many characters of a line are shown.
const SHOWN: usize = 100;

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
