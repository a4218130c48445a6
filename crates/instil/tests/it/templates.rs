//! The template engine against what the Python package rendered (see `tests/goldens/templates/README.md`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use instil::template::engine::{Compiled, Fault, Fields, Options};
use instil::template::{Collection, Template};
use serde_json::{Map, Value};

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/templates");
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/promptsource/templates");

/// The templates of our own that render otherwise, each with the reason.
const OWN_DIFFERENCES: [(&str, &str); 0] = [];
/// The published templates that render otherwise, as `dataset / name`, each with the reason.
const CORPUS_DIFFERENCES: [(&str, &str); 0] = [];

fn unpacked(name: &str) -> String {
    let file = std::fs::File::open(Path::new(GOLDENS).join(name)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// Renders one line of goldens and says whether all of it is as the package has it.
fn is_same(compiled: &Result<Compiled, Fault>, golden: &Value, row: &Map<String, Value>) -> bool {
    let draws: Vec<usize> =
        golden["draws"].as_array().unwrap().iter().map(|draw| draw.as_u64().unwrap() as usize).collect();
    let mut drawn = 0;
    let rendered = compiled.as_ref().map_err(Clone::clone).and_then(|compiled| {
        compiled.render_with(&Fields::of(row), &mut |_| {
            drawn += 1;
            draws.get(drawn - 1).copied().unwrap_or(usize::MAX)
        })
    });
    let texts = |key: &str| {
        golden.get(key).map(|texts| serde_json::from_value::<Vec<String>>(texts.clone()).unwrap())
    };
    match rendered {
        Err(fault) => golden.get("error").is_some() && !fault.message.is_empty(),
        Ok(_) if golden.get("error").is_some() || drawn != draws.len() => false,
        Ok(parts) => match texts("parts") {
            Some(expected) => parts == expected,
            None => {
                let hash = |part: &String| blake3::hash(part.as_bytes()).to_hex()[..16].to_owned();
                parts.iter().map(hash).collect::<Vec<_>>() == texts("hashes").unwrap()
            }
        },
    }
}

/// Compares all goldens; what differs must be what is listed, no more and no less.
fn compare<'c>(
    goldens: &str,
    of: impl Fn(&Value) -> (String, &'c Template, Map<String, Value>),
    listed: &[(&str, &str)],
) -> usize {
    let mut compiled: HashMap<(String, bool), Result<Compiled, Fault>> = HashMap::new();
    let mut different: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = 0;
    for line in goldens.lines() {
        let golden: Value = serde_json::from_str(line).unwrap();
        let truncate = golden["truncate"].as_bool().unwrap();
        let (name, template, row) = of(&golden);
        let compiled = compiled.entry((name.clone(), truncate)).or_insert_with(|| {
            Compiled::new(&template.jinja, template.answer_choices.as_deref(), Options { truncate })
        });
        if !is_same(compiled, &golden, &row) {
            *different.entry(name).or_default() += 1;
        }
        count += 1;
    }
    let found: BTreeSet<&str> = different.keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = listed.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        found, expected,
        "other templates differ than are listed, of {count} renderings: {different:?}"
    );
    count
}

#[test]
fn our_own_templates_render_as_the_package_renders_them() {
    let collection = Collection::read(&Path::new(GOLDENS).join("own.yaml")).unwrap();
    let templates: HashMap<&str, &Template> =
        collection.templates().map(|one| (one.name.as_str(), one)).collect();
    let goldens = std::fs::read_to_string(Path::new(GOLDENS).join("own.jsonl")).unwrap();
    let of = |golden: &Value| {
        let name = golden["template"].as_str().unwrap();
        (name.to_owned(), templates[name], golden["row"].as_object().unwrap().clone())
    };
    assert!(compare(&goldens, of, &OWN_DIFFERENCES) > 1_000);
}

#[test]
fn every_published_template_renders_as_the_package_renders_it() {
    let shared = PathBuf::from(SHARED);
    if !shared.is_dir() {
        use std::io::Write;
        writeln!(std::io::stderr(), "skipped: PromptSource's templates aren't there").unwrap();
        return;
    }
    let collection = Collection::read(&shared).unwrap();
    let mut rows: HashMap<String, Vec<Map<String, Value>>> = HashMap::new();
    for line in unpacked("corpus-rows.jsonl.gz").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let of: Vec<Map<String, Value>> = serde_json::from_value(line["rows"].clone()).unwrap();
        rows.insert(line["dataset"].as_str().unwrap().to_owned(), of);
    }
    let of = |golden: &Value| {
        let (dataset, name) = (golden["dataset"].as_str().unwrap(), golden["template"].as_str().unwrap());
        let templates = collection.dataset(dataset).unwrap();
        let template = templates.iter().find(|template| template.name == name).unwrap();
        let row = rows[dataset][golden["row"].as_u64().unwrap() as usize].clone();
        (format!("{dataset} / {name}"), template, row)
    };
    assert!(compare(&unpacked("corpus.jsonl.gz"), of, &CORPUS_DIFFERENCES) > 20_000);
}
