//! A small corpus, a scripted model, and the bytes of an output.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use instil::Result;
use instil::lm::scripted::Scripted;
use instil::lm::{Completion, LanguageModel, Outcome, Request};
use instil::recipe::Generate;
use instil::run::{Done, Existing, Plan};

/// A jsonl file of documents, some of them faulty.
pub(crate) fn corpus(folder: &Path, documents: usize) -> PathBuf {
    let path = folder.join("corpus.jsonl");
    let mut lines = String::new();
    for i in 0..documents {
        lines += &match i % 10 {
            3 => "{not json\n".to_owned(),
            7 => format!("{{\"id\": \"d{i}\", \"text\": \"  \"}}\n"),
            _ => format!(
                "{{\"id\": \"d{i}\", \"text\": \"Herd {i} holds {} cows and {} goats.\"}}\n",
                i + 2,
                3 * i + 40
            ),
        };
    }
    fs::write(&path, lines).unwrap();
    path
}

pub(crate) fn recipe(folder: &Path, documents: usize) -> Generate {
    Generate {
        input: vec![corpus(folder, documents).to_string_lossy().into_owned()],
        output: folder.join("out").to_string_lossy().into_owned(),
        task: vec!["exqa".to_owned(), "nli".to_owned(), "qa".to_owned()],
        samples: 2,
        model: "scripted".to_owned(),
        ..Generate::default()
    }
}

/// What a model might say; good, bad and cut-off texts by the request's seed.
pub(crate) fn said(request: &Request, sample: u32) -> Outcome {
    let text = |text: &str| Outcome::Text(Completion { text: text.to_owned(), ..Completion::default() });
    match (request.seed.wrapping_add(u64::from(sample))) % 9 {
        0 => text("no pipe here"),
        1 => text("{{context}} What?<|pipe|>"),
        2 => Outcome::Declined,
        3 => Outcome::Refused("too warm".to_owned()),
        4 => text("Does it follow? {{ context }} Yes, no or maybe?<|pipe|>maybe"),
        _ => text("{{context}}\nWhat does the herd hold?\n<|pipe|>\ncows and"),
    }
}

pub(crate) fn model(order: u64, room: usize) -> Scripted {
    Scripted::new(order, room, said)
}

/// Runs a recipe to its end.
pub(crate) fn run(recipe: &Generate, model: &dyn LanguageModel, existing: Existing) -> Result<Done> {
    let plan = Plan::of(recipe)?;
    instil::run::generate(recipe, &plan, model, existing, &mut |_, _| ControlFlow::Continue(()))
}

/// Every file that must be the same bytes for the same recipe.
pub(crate) fn bytes(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![output.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(output).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("run") || name == "run/rejects.parquet" {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}
