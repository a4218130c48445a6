//! The adapters of `recipes/sources` over the data that they were written for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use instil::source::Adapter;
use instil::template::Collection;
use instil::template::engine::{Compiled, Options};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/sources");

/// Adapter, dataset, rows, rejects by their word.
type Set = (&'static str, &'static str, usize, &'static [(&'static str, usize)]);

const SETS: [Set; 21] = [
    ("ag_news", "ag_news", 3800, &[]),
    ("boolq", "super_glue/boolq", 1635, &[]),
    ("boolq_contrast", "super_glue/boolq", 335, &[("unknown_value", 6)]),
    ("boolq_ni", "super_glue/boolq", 2000, &[]),
    ("boolq_original", "super_glue/boolq", 69, &[("unknown_value", 1)]),
    ("cb", "super_glue/cb", 250, &[]),
    ("cosmosqa", "cosmos_qa", 1492, &[]),
    ("dbpedia_ni", "dbpedia_14", 2000, &[]),
    ("hellaswag", "hellaswag", 4, &[]),
    ("imdb", "imdb", 200, &[]),
    ("p3", "", 50_585, &[]),
    ("policyqa", "squad", 3809, &[]),
    ("qasc", "qasc", 1079, &[("no_match", 5)]),
    ("quail", "quail", 2164, &[]),
    ("quoref", "quoref", 1115, &[]),
    ("ropes", "ropes", 1948, &[]),
    ("rotten_tomatoes", "rotten_tomatoes", 10_662, &[]),
    ("rte", "super_glue/rte", 2490, &[]),
    ("wic_ni", "super_glue/wic", 2000, &[]),
    ("xquad", "squad", 632, &[]),
    ("xsum", "xsum", 100, &[]),
];

/// A folder of `../shared`, if it is there.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(name);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn adapter(name: &str) -> Adapter {
    Adapter::read(&Path::new(SOURCES).join(format!("{name}.toml")))
        .unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn every_adapter_of_the_repository_is_listed_here() {
    let files = std::fs::read_dir(SOURCES).unwrap().map(|entry| entry.unwrap().path());
    let tomls = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let names: BTreeSet<_> =
        tomls.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, SETS.iter().map(|(name, ..)| (*name).to_owned()).collect());
    let readme = std::fs::read_to_string(Path::new(SOURCES).join("README.md")).unwrap();
    for (name, dataset, rows, _) in SETS {
        let adapter = adapter(name);
        assert_eq!(adapter.dataset().unwrap_or_default(), dataset, "{name}");
        assert!(!adapter.about().is_empty() && !adapter.license().is_empty(), "{name}");
        let line = readme.lines().find(|line| line.contains(&format!("| {name} |")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in the README"));
        assert!(line.contains(&format!("| {rows} |")), "{name}: {line}");
        assert_eq!(line.contains("non-commercial"), adapter.is_non_commercial(), "{name}: {line}");
    }
}

#[test]
fn every_row_is_a_row_or_a_reject_with_its_reason() {
    let Some(data) = shared("data") else { return };
    for (name, dataset, rows, rejects) in SETS {
        let adapter = adapter(name);
        let (mut found, mut rejected) = (0, BTreeMap::new());
        for item in adapter.rows(&data).unwrap() {
            match item {
                Ok(row) => {
                    found += 1;
                    assert!(dataset.is_empty() || row.dataset.as_deref() == Some(dataset), "{name}");
                    assert!(row.fields.keys().map(String::as_str).eq(adapter.fields()), "{name}");
                    assert!(data.join(&*row.origin.source).is_file() && row.origin.row.is_some(), "{name}");
                    assert!(row.fields.values().all(|value| !value.is_null()), "{name}: {:?}", row.origin);
                }
                Err(reject) => *rejected.entry(reject.reason.word()).or_insert(0) += 1,
            }
        }
        let expected: BTreeMap<_, usize> = rejects.iter().copied().collect();
        assert_eq!((found, rejected), (rows, expected), "{name}");
    }
}

#[test]
fn the_fields_are_those_that_the_templates_read() {
    let (Some(data), Some(templates)) = (shared("data"), shared("data/promptsource/templates")) else {
        return;
    };
    for (name, dataset, ..) in SETS {
        if dataset.is_empty() {
            continue;
        }
        let collection = Collection::read(&templates.join(dataset).join("templates.yaml")).unwrap();
        let mut read = BTreeSet::new();
        for template in collection.dataset(dataset).unwrap() {
            let choices = template.answer_choices.as_deref();
            let mut texts = vec![template.jinja.as_str()];
            texts.extend(choices);
            for text in texts {
                // A template with a filter that the engine lacks is the engine's matter.
                if let Ok(compiled) = Compiled::new(text, None, Options::default()) {
                    read.extend(compiled.variables().iter().cloned());
                }
            }
        }
        for set_by_the_engine in ["answer_choices", "range"] {
            read.remove(set_by_the_engine);
        }
        let adapter = adapter(name);
        let has: BTreeSet<_> = adapter.fields().map(str::to_owned).collect();
        assert!(read.len() > 1 && read.is_subset(&has), "{name}: {read:?} are read, there are {has:?}");
        let row = adapter.rows(&data).unwrap().find_map(Result::ok).unwrap();
        let label_is_right = match row.fields.get("label") {
            None => true,
            Some(label) if dataset == "hellaswag" => label.is_string(),
            Some(label) => label.is_u64(),
        };
        assert!(label_is_right, "{name}: {:?}", row.fields["label"]);
    }
}

#[test]
fn single_rows_are_what_their_files_say() {
    let Some(data) = shared("data") else { return };
    let first = |name: &str| adapter(name).rows(&data).unwrap().find_map(Result::ok).unwrap();
    let quail = first("quail").fields;
    let answers = quail["answers"].as_array().unwrap();
    assert_eq!((answers.len(), quail["correct_answer_id"].as_u64()), (4, Some(0)));
    assert!(answers.iter().all(|answer| answer.as_str().is_some_and(|answer| answer == answer.trim())));
    // XML can't tell a list of one from one: that every question has several answers is what makes it right.
    for row in adapter("quail").rows(&data).unwrap() {
        let row = row.unwrap().fields;
        assert_eq!(row["answers"].as_array().map(Vec::len), Some(4));
        assert!(row["correct_answer_id"].as_u64().is_some_and(|id| id < 4));
    }
    let squad = first("xquad").fields;
    let (context, text) = (squad["context"].as_str().unwrap(), squad["answers"]["text"][0].as_str().unwrap());
    let start = usize::try_from(squad["answers"]["answer_start"][0].as_u64().unwrap()).unwrap();
    assert!(context.chars().skip(start).collect::<String>().starts_with(text));
    let qasc = first("qasc").fields;
    assert_eq!(qasc["choices"]["text"].as_array().unwrap().len(), 8);
    assert_eq!(qasc["choices"]["label"].as_array().unwrap().len(), 8);
    let wic = first("wic_ni").fields;
    assert!(wic["sentence1"].as_str().unwrap().contains(wic["word"].as_str().unwrap()));
    assert!(first("dbpedia_ni").fields["content"].as_str().unwrap().starts_with(' '));
    let p3 = first("p3");
    assert!(p3.dataset.is_some() && !p3.fields["completion"].as_str().unwrap().contains("<|endoftext|>"));
    assert_eq!(adapter("p3").rendered().unwrap().template, "template");
}
