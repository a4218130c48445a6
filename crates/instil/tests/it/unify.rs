//! `unify` over public sets: rows of CrossFit's, FLAN's and P3's style brought to that of Super-NaturalInstructions.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use instil::recipe::Unify;
use instil::run::{Done, Existing, UnifyPlan, unify};
use instil::source::Adapter;
use instil::unify::{CheckKind, Instruction, Level, TaskReport, Verdict, verify};
use serde_json::{Value, json};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/sources");

/// The folder of the data, if it is there.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn data() -> Option<&'static Path> {
    let path = Path::new(SHARED);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn run(
    input: &[PathBuf],
    folder: &Path,
    style: &[&str],
    definitions: Option<&Path>,
) -> (Vec<TaskReport>, Vec<Value>) {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let output = folder.join("out.jsonl");
    let step = Unify {
        input: input.iter().map(|path| text(path)).collect(),
        output: text(&output),
        style: style.iter().map(|&style| style.to_owned()).collect(),
        definitions: definitions.map(text),
        ..Unify::default()
    };
    let plan = UnifyPlan::of(&step).unwrap();
    let (done, unified) =
        unify(&step, &plan, Existing::Overwrite, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(matches!(done, Done::Finished(_)));
    let rows = fs::read_to_string(output).unwrap();
    (unified.tasks, rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The answer of an instance: a text, or the first of several.
fn answer(instance: &Value) -> &Value {
    instance["output"].get(0).unwrap_or(&instance["output"])
}

/// Rows of a set as an adapter reads them: what is given, by name, and what is answered.
fn rows(set: &str, names: &[&str], answers: &[&str], most: usize) -> Vec<(Vec<(String, String)>, String)> {
    let adapter = Adapter::read(&Path::new(SOURCES).join(format!("{set}.toml"))).unwrap();
    let text = |value: &Value| value.as_str().unwrap().trim().replace(['\t', '\n'], " ");
    let read = adapter.rows(Path::new(SHARED)).unwrap().flatten().take(most).map(|row| {
        let given = names.iter().map(|&name| (name.to_owned(), text(&row.fields[name]))).collect();
        let answer = match row.fields.get("label").and_then(Value::as_u64) {
            Some(label) if answers.is_empty() => text(&row.fields[&format!("answer{label}")]),
            Some(label) => answers[label as usize].to_owned(),
            None => text(&row.fields["answers"]["text"][0]),
        };
        (given, answer)
    });
    read.collect()
}

#[test]
fn crossfits_and_flans_rows_come_to_the_style_of_super_natural_instructions() {
    if data().is_none() {
        return;
    }
    // Task, fields, labels, and a template of our own as FLAN's are.
    let sets: [(&str, &[&str], &[&str], &str); 6] = [
        (
            "rte",
            &["premise", "hypothesis"],
            &["yes", "no"],
            "{0}\n\nQuestion with options: can we draw the following conclusion? {1}\nOptions:\n- yes\n- no",
        ),
        (
            "cb",
            &["premise", "hypothesis"],
            &["Yes", "No", "It's impossible to say"],
            "{0}\nBased on what stands above, may one say that the following holds?\n{1}\nAnswer Yes, No, or It's impossible to say.",
        ),
        (
            "ag_news",
            &["text"],
            &["World", "Sports", "Business", "Sci/Tech"],
            "What is this news story about: World, Sports, Business or Sci/Tech?\n\n{0}",
        ),
        (
            "boolq",
            &["passage", "question"],
            &["no", "yes"],
            "{0}\n\nCan we say that the answer to the question is yes or no?\nQuestion: {1}",
        ),
        (
            "cosmosqa",
            &["context", "question"],
            &[],
            "Read the story and give the best answer to the question about it.\n\nStory: {0}\nQuestion: {1}\nAnswer:",
        ),
        (
            "xquad",
            &["context", "question"],
            &[],
            "Answer the question with words of the article.\nArticle: {0}\nQuestion: {1}",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (mut crossfit, mut flan) = (Vec::new(), Vec::new());
    let mut contents: BTreeMap<String, Vec<(Vec<String>, String)>> = BTreeMap::new();
    for (set, names, labels, template) in sets {
        let rows = rows(set, names, labels, 40);
        let lines: Vec<String> = rows
            .iter()
            .map(|(given, answer)| {
                let fields: Vec<String> =
                    given.iter().map(|(name, text)| format!("{name}: {text}")).collect();
                format!("{}\t{answer}\n", fields.join(" [SEP] "))
            })
            .collect();
        let path = folder.path().join(format!("{set}_16_13_train.tsv"));
        fs::write(&path, lines.concat()).unwrap();
        crossfit.push(path);
        let lines: Vec<String> = rows
            .iter()
            .map(|(given, answer)| {
                let put = |text: String, (at, (_, value)): (usize, &(String, String))| {
                    text.replace(&format!("{{{at}}}"), value)
                };
                let prompt = given.iter().enumerate().fold(template.to_owned(), put);
                format!("{}\n", json!({"inputs": prompt, "targets": answer}))
            })
            .collect();
        let path = folder.path().join(format!("{set}.jsonl"));
        fs::write(&path, lines.concat()).unwrap();
        flan.push(path);
        let texts = rows
            .into_iter()
            .map(|(given, answer)| (given.into_iter().map(|(_, text)| text).collect(), answer));
        contents.insert(set.to_owned(), texts.collect());
    }

    // FLAN's: every task by rules alone.
    let (tasks, made) = run(&flan, folder.path(), &[], None);
    let said: Vec<String> = tasks
        .iter()
        .map(|task| {
            format!(
                "{}: {} | {}",
                task.instruction.task,
                task.instruction.definition.as_deref().unwrap_or("-"),
                task.instruction.fields.join(", ")
            )
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    let all: Vec<&(Vec<String>, String)> = sets.iter().flat_map(|(set, ..)| &contents[*set]).collect();
    assert_eq!(made.len(), all.len());
    for (row, (given, answer)) in made.iter().zip(&all) {
        assert_eq!(row["targets"], **answer);
        let inputs = row["inputs"].as_str().unwrap();
        assert!(given.iter().all(|text| inputs.contains(text.as_str())), "{given:?} in {inputs}");
    }

    // CrossFit's: the sentence is missing in every task, and each is named; with sentences all rows come.
    let (tasks, made) = run(&crossfit, folder.path(), &[], None);
    assert_eq!(made, Vec::<Value>::new());
    assert!(tasks.iter().all(|task| task.needs_definition() && task.instruction.level == Level::Keyword));
    let names: Vec<&str> = tasks.iter().map(|task| task.instruction.task.as_str()).collect();
    assert_eq!(names, ["ag_news", "boolq", "cb", "cosmosqa", "rte", "xquad"]);
    let definitions = folder.path().join("definitions.jsonl");
    let lines: Vec<String> = names
        .iter()
        .map(|task| format!("{}\n", json!({"task": task, "definition": format!("Do {task}.")})))
        .collect();
    fs::write(&definitions, lines.concat()).unwrap();
    let (_, made) = run(&crossfit, folder.path(), &["super-ni"], Some(&definitions));
    assert_eq!(made.len(), all.len());
    for (row, (given, answer)) in made.iter().zip(&all) {
        assert_eq!(row["completion"], **answer);
        let prompt = row["prompt"].as_str().unwrap();
        assert!(
            prompt.starts_with("Definition: Do ") && given.iter().all(|text| prompt.contains(text.as_str())),
            "{prompt}"
        );
    }
}

#[test]
fn p3s_rows_come_to_the_style_of_super_natural_instructions() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = ["ag_news", "sciq", "commonsense_qa"];
    let files: Vec<PathBuf> =
        sets.iter().map(|set| data.join(format!("p3_t0_samples/{set}.jsonl.gz"))).collect();
    let source: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            unpacked(file).lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        })
        .collect();
    let (tasks, made) = run(&files, folder.path(), &[], None);
    let without: Vec<&str> = tasks
        .iter()
        .filter(|task| task.needs_definition())
        .map(|task| task.instruction.task.as_str())
        .collect();
    insta::assert_snapshot!(without.join("\n"));
    let kept = source.iter().filter(|row| !without.contains(&row["task"].as_str().unwrap()));
    assert_eq!(kept.clone().count(), made.len());
    for (row, made) in kept.zip(&made) {
        let completion = row["completion"].as_str().unwrap();
        assert_eq!(format!("{}<|endoftext|>", made["targets"].as_str().unwrap()), completion);
        for line in made["inputs"].as_str().unwrap().lines() {
            // Each line of a content is one of the prompt, but for the label that may stand before it.
            let prompt = row["prompt"].as_str().unwrap();
            let content = line.split_once(": ").map_or(line, |(_, content)| content);
            assert!(prompt.contains(content), "{content} in {prompt}");
        }
    }
}

#[test]
fn the_published_candidates_that_are_cut_off_fail() {
    let Some(data) = data() else { return };
    let (mut cut, mut whole) = (0, 0);
    for line in unpacked(&data.join("uit_ppl/candidates.jsonl.gz")).lines() {
        let candidate: Value = serde_json::from_str(line).unwrap();
        let definition = &candidate["Definition"];
        let definition = definition.as_str().or_else(|| definition[0].as_str()).unwrap();
        let source = Instruction::new("duorc", Level::Instance);
        let checks = verify(&source, definition, &[]);
        let check = checks.iter().find(|check| check.kind == CheckKind::Completeness).unwrap();
        if definition.ends_with(' ') {
            cut += 1;
            assert_eq!(check.verdict, Verdict::Fail, "{definition}");
        } else {
            whole += usize::from(check.verdict != Verdict::Fail);
        }
    }
    // The one of the eleven others that fails opens a quotation and doesn't close it.
    assert_eq!((cut, whole), (21, 10));
}

#[test]
fn tasks_of_super_natural_instructions_pass_through_every_style() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "task363_sst2_polarity_classification",
        "task073_commonsenseqa_answer_generation",
        "task1687_sentiment140_classification",
    ];
    let files: Vec<PathBuf> =
        names.iter().map(|name| data.join(format!("superni/tasks/{name}.json.gz"))).collect();
    let instances: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            let task: Value = serde_json::from_str(&unpacked(file)).unwrap();
            task["Instances"].as_array().unwrap().clone()
        })
        .collect();
    let (tasks, made) = run(&files, folder.path(), &[], None);
    assert!(tasks.iter().all(|task| task.by == "source"));
    assert_eq!(made.len(), instances.len());
    for style in ["plain", "headed", "last", "question-answer", "crossfit"] {
        let (_, styled) = run(&files, folder.path(), &[style], None);
        for ((apart, styled), instance) in made.iter().zip(&styled).zip(&instances) {
            assert_eq!((&apart["inputs"], &apart["targets"]), (&instance["input"], answer(instance)));
            let prompt = styled["prompt"].as_str().unwrap();
            assert_eq!(&styled["completion"], answer(instance));
            // The fields of an input are parted by the style's own words at the level of keywords.
            assert!(
                style == "crossfit" || prompt.contains(instance["input"].as_str().unwrap()),
                "{style}: {prompt}"
            );
        }
    }
}
