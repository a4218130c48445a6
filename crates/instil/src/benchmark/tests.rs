//! Built-in and own benchmarks over made-up rows.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::item::{Ask, Item};
use super::report::{Report, Tally};
use super::run::{self, Settings};
use super::{Benchmark, Metric, Wrap, built_in, data};
use crate::lm::scripted::Scripted;
use crate::lm::{Completion, Input, LanguageModel, Outcome, Score, Scored, Scoring};

/// A folder with a file of these rows.
fn file(name: &str, rows: &[Value]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = match name.ends_with(".jsonl") {
        true => rows.iter().map(|row| format!("{row}\n")).collect::<String>(),
        false => rows[0].to_string(),
    };
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn nowhere(_: &str) -> Option<PathBuf> {
    None
}

fn items(benchmark: &Benchmark, path: &str) -> Vec<Item> {
    let rows = data::open(benchmark, &[path.to_owned()], &nowhere).unwrap();
    rows.flat_map(|row| benchmark.items(&row.unwrap(), &benchmark.wrap).unwrap()).collect()
}

fn settings(benchmark: &Benchmark) -> Settings {
    Settings {
        wrap: benchmark.wrap.clone(),
        together: false,
        in_words: false,
        constrain: false,
        limit: u64::MAX,
    }
}

fn report(benchmark: &Benchmark, settings: &Settings, path: &str, model: &dyn LanguageModel) -> Report {
    let rows = data::open(benchmark, &[path.to_owned()], &nowhere).unwrap();
    let mut tally = Tally::new(benchmark);
    let (account, whole) = run::ask(
        benchmark,
        settings,
        rows,
        model,
        None,
        &mut |answer| {
            tally.add(&answer);
            Ok(())
        },
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    assert!(whole);
    tally.report(account, 0)
}

fn number(report: &Report, metric: Metric) -> f64 {
    report.metrics.iter().find(|number| number.metric == metric).unwrap().value.unwrap()
}

#[test]
fn every_built_in_benchmark_is_read() {
    for name in built_in::names() {
        let benchmark = Benchmark::find(name).unwrap();
        assert_eq!(benchmark.name, name);
        assert!(!benchmark.about.is_empty() && !benchmark.source.is_empty(), "{name}");
    }
    for (_, names) in built_in::suites() {
        for name in names {
            Benchmark::find(name).unwrap();
        }
    }
    for name in built_in::suite("bonito").unwrap() {
        let benchmark = Benchmark::find(name).unwrap();
        assert_eq!(benchmark.prompts().count(), 5, "{name}");
        assert!(benchmark.source.contains("own wording"), "{name}");
    }
}

/// What is scored for each choice of a benchmark's first row: raw rows as the Hub has them, then as llm-foundry does.
#[test]
fn the_gpt4all_suite_has_the_surface_forms_of_the_harness() {
    type Case = (&'static str, &'static str, Value, &'static [(&'static str, &'static str)], usize);
    let cases: [Case; 13] = [
        (
            "arc_easy",
            "x.jsonl",
            json!({"id": "M1", "question": "Which is  hot?", "choices": {"text": ["ice", "fire "], "label": ["A", "B"]}, "answerKey": "B"}),
            &[("Question: Which is  hot?\nAnswer:", "ice"), ("Question: Which is  hot?\nAnswer:", "fire ")],
            1,
        ),
        (
            "arc_challenge",
            "x.jsonl",
            json!({"choices": ["a", "b"], "query": "Question: Which?", "gold": 0}),
            &[("Question: Which?\nAnswer:", "a"), ("Question: Which?\nAnswer:", "b")],
            0,
        ),
        (
            "boolq",
            "x.jsonl",
            json!({"idx": 3, "passage": "Tea -- Tea is hot.", "question": "is tea hot", "label": 1}),
            &[
                ("Tea -- Tea is hot.\nQuestion: is tea hot?\nAnswer:", "no"),
                ("Tea -- Tea is hot.\nQuestion: is tea hot?\nAnswer:", "yes"),
            ],
            1,
        ),
        (
            "boolq",
            "x.jsonl",
            json!({"query": "Passage: Tea is hot.\nQuestion: is tea hot?", "choices": ["no", "yes"], "gold": 1}),
            &[
                ("Tea is hot.\nQuestion: is tea hot?\nAnswer:", "no"),
                ("Tea is hot.\nQuestion: is tea hot?\nAnswer:", "yes"),
            ],
            1,
        ),
        (
            "hellaswag",
            "x.jsonl",
            json!({"ind": 4, "activity_label": "Tea", "ctx_a": "[header] Make tea [title] Boil.", "ctx_b": "the WATER", "endings": ["is [step] hot.", " falls"], "label": "1"}),
            &[("Tea: Make tea. Boil. The water", "is hot."), ("Tea: Make tea. Boil. The water", "falls")],
            1,
        ),
        (
            "hellaswag",
            "x.jsonl",
            json!({"query": "Tea: Then", "choices": [", hot.", "cold"], "gold": 0}),
            &[("Tea: Then", ", hot."), ("Tea: Then", "cold")],
            0,
        ),
        (
            "openbookqa",
            "x.jsonl",
            json!({"id": "1", "question_stem": "Tea is", "choices": {"text": ["hot", "cold"], "label": ["A", "B"]}, "answerKey": " A"}),
            &[("Tea is", "hot"), ("Tea is", "cold")],
            0,
        ),
        (
            "openbookqa",
            "x.jsonl",
            json!({"query": "Tea is", "choices": ["hot", "cold"], "gold": 1}),
            &[("Tea is", "hot"), ("Tea is", "cold")],
            1,
        ),
        (
            "piqa",
            "x.jsonl",
            json!({"goal": "make tea", "sol1": "boil", "sol2": "freeze", "label": 0}),
            &[("Question: make tea\nAnswer:", "boil"), ("Question: make tea\nAnswer:", "freeze")],
            0,
        ),
        (
            "piqa",
            "x.jsonl",
            json!({"query": "Question: make tea\n", "choices": ["boil", "freeze"], "gold": 1}),
            &[("Question: make tea\nAnswer:", "boil"), ("Question: make tea\nAnswer:", "freeze")],
            1,
        ),
        (
            "winogrande",
            "x.jsonl",
            json!({"sentence": "The tea beat the milk since _ was hot.", "option1": "the tea", "option2": "the milk", "answer": "2"}),
            &[
                ("The tea beat the milk since the tea", "was hot."),
                ("The tea beat the milk since the milk", "was hot."),
            ],
            1,
        ),
        (
            "winogrande",
            "x.jsonl",
            json!({"context_options": ["since tea", "since milk"], "continuation": "was hot.", "gold": 0}),
            &[("since tea", "was hot."), ("since milk", "was hot.")],
            0,
        ),
        (
            "lambada_openai",
            "x.jsonl",
            json!({"text": "\"He drank  his tea"}),
            &[("\"He drank  his", "tea")],
            0,
        ),
    ];
    for (name, file_name, row, wanted, wanted_gold) in cases {
        let benchmark = Benchmark::find(name).unwrap();
        let (_folder, path) = file(file_name, &[row]);
        let found = items(&benchmark, &path);
        assert_eq!(found.len(), 1, "{name}");
        let (pairs, gold): (Vec<(String, String)>, usize) = match found[0].ask.clone() {
            Ask::Choice { heads, tails, gold, .. } => (heads.into_iter().zip(tails).collect(), gold),
            Ask::Completion { prompt, completion } => (vec![(prompt, completion)], 0),
            ask @ Ask::Text { .. } => panic!("{ask:?}"),
        };
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(head, tail)| (head.as_str(), tail.as_str())).collect();
        assert_eq!((pairs.as_slice(), gold), (wanted, wanted_gold), "{name}");
    }
}

/// A model to which texts are as likely as the script says, whose completions it also notes.
fn liking(likes: impl Fn(&Scored) -> f64 + Send + Sync + 'static) -> Scripted {
    Scripted::new(0, 4, |_, _| Outcome::Declined).scoring(move |text| {
        let nll = likes(text);
        Scoring::Score(Score { nll, tokens: 1, greedy: Some(nll < 1.0), whole: true })
    })
}

fn pubmed_rows(count: usize) -> Vec<Value> {
    let labels = ["yes", "no", "maybe"];
    (0..count)
        .map(|i| {
            json!({
                "pmid": i.to_string(),
                "QUESTION": format!("Is {i} large?"),
                "CONTEXTS": ["We counted.", "It was so."],
                "final_decision": labels[i % 7 % 3],
            })
        })
        .collect()
}

/// The label that a question of [`pubmed_rows`] has.
fn right(prompt: &str) -> &'static str {
    let from = prompt.find("Is ").unwrap() + 3;
    let digits: String = prompt[from..].chars().take_while(char::is_ascii_digit).collect();
    ["yes", "no", "maybe"][digits.parse::<usize>().unwrap() % 7 % 3]
}

#[test]
fn an_oracle_is_right_everywhere_and_a_shuffled_one_is_not() {
    let benchmark = Benchmark::find("pubmedqa").unwrap();
    let (_folder, path) = file("pqal_x.jsonl", &pubmed_rows(70));
    let settings = settings(&benchmark);
    let oracle = liking(|text| {
        assert!(
            text.eos
                && text.apart
                && text.prompt.starts_with("Instruct: ")
                && text.prompt.contains("We counted. It was so.")
        );
        if text.completion == right(&text.prompt) { 0.5 } else { 2.0 }
    });
    let best = report(&benchmark, &settings, &path, &oracle);
    let headline = &best.metrics[0];
    assert_eq!(
        (headline.metric, headline.value, headline.interval),
        (Metric::MacroF1, Some(1.0), Some((1.0, 1.0)))
    );
    assert_eq!((headline.spread, headline.prompts.len()), (Some(0.0), 5));
    assert_eq!(number(&best, Metric::Accuracy), 1.0);
    // yes 30, no 20, maybe 20 of 70: all yes is right in 3/7, with a macro F1 of a third of 2 * 30 / (70 + 30).
    let accuracy = &best.metrics[1];
    assert!((accuracy.majority.unwrap() - 3.0 / 7.0).abs() < 1e-12);
    assert!((headline.majority.unwrap() - 0.2).abs() < 1e-12);
    assert!((accuracy.random.unwrap() - 1.0 / 3.0).abs() < 0.02);
    // The answers of other rows: off by one label.
    let shuffled = liking(|text| {
        let next = HashMap::from([("yes", "no"), ("no", "maybe"), ("maybe", "yes")])[right(&text.prompt)];
        if text.completion == next { 0.5 } else { 2.0 }
    });
    let worst = report(&benchmark, &settings, &path, &shuffled);
    assert_eq!((number(&worst, Metric::MacroF1), number(&worst, Metric::Accuracy)), (0.0, 0.0));
    // A model that is right under one prompt only is so in a fifth.
    let once = liking(|text| {
        let knows = text.prompt.contains("physician");
        let wanted = if knows { right(&text.prompt) } else { "none" };
        if text.completion == wanted { 0.5 } else { 2.0 + text.completion.len() as f64 }
    });
    let mixed = report(&benchmark, &settings, &path, &once);
    let accuracy = &mixed.metrics[1];
    assert_eq!(accuracy.prompts["doctor"], Some(1.0));
    // The shortest of the others is `no`.
    assert!((accuracy.value.unwrap() - (1.0 + 4.0 * 2.0 / 7.0) / 5.0).abs() < 1e-12, "{accuracy:?}");
    assert!(accuracy.spread.unwrap() > 0.3 && accuracy.standard_error.unwrap() > 0.0);
}

#[test]
fn contracts_are_read_with_their_statements() {
    let benchmark = Benchmark::find("contractnli").unwrap();
    let raw = json!({
        "documents": [{"id": 5, "text": "Keep it secret.", "annotation_sets": [{"annotations": {
            "nda-1": {"choice": "Entailment", "spans": [0]},
            "nda-2": {"choice": "NotMentioned", "spans": []},
        }}]}],
        "labels": {"nda-1": {"hypothesis": "It is secret."}, "nda-2": {"hypothesis": "It is blue."}},
    });
    let (_folder, path) = file("dev.json", &[raw]);
    let items = items(&benchmark, &path);
    assert_eq!(items.len(), 10);
    assert_eq!((items[0].id.as_str(), items[5].id.as_str()), ("5/nda-1", "5/nda-2"));
    let Ask::Choice { heads, choices, gold, .. } = &items[7].ask else { panic!("{:?}", items[7]) };
    assert_eq!((choices[*gold].as_str(), choices.len()), ("Inconclusive", 3));
    assert!(heads[0].contains("Keep it secret.\n") && heads[0].contains("\"It is blue.\""), "{}", heads[0]);
    let Ask::Choice { choices, gold, .. } = &items[0].ask else { panic!("{:?}", items[0]) };
    assert_eq!(choices[*gold], "Yes");
}

#[test]
fn texts_are_generated_and_compared_with_the_first_right_one() {
    let benchmark = Benchmark::find("xquad").unwrap();
    let raw = json!({"data": [{"paragraphs": [{"context": "Ada swam in May.", "qas": [
        {"id": "q1", "question": "Who swam?", "answers": [{"text": "Ada", "answer_start": 0}, {"text": "Ada swam", "answer_start": 0}]},
        {"id": "q2", "question": "When?", "answers": [{"text": "in May", "answer_start": 9}]},
    ]}]}]});
    let (_folder, path) = file("xquad.json", &[raw]);
    let model = Scripted::new(3, 4, |request, _| {
        assert_eq!((request.sampling.temperature, request.sampling.max_tokens), (0.0, 25));
        let Input::Prompt(prompt) = &request.input else { panic!("{request:?}") };
        let text = if prompt.contains("Who swam?") { " the Ada.\n" } else { "May" };
        Outcome::Text(Completion { text: text.into(), ..Completion::default() })
    });
    let found = report(&benchmark, &settings(&benchmark), &path, &model);
    // Ada: 1 and 1. May beside `in May`: 1 of 1 and 1 of 2.
    assert!((number(&found, Metric::SquadF1) - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
    assert_eq!(number(&found, Metric::SquadEm), 0.5);
}

#[test]
fn a_last_word_is_right_if_greedy_decoding_gives_it() {
    let benchmark = Benchmark::find("lambada_openai").unwrap();
    let rows = [
        json!({"text": "He drank his tea"}),
        json!({"text": "She drank her milk"}),
        json!({"text": "x unknown"}),
    ];
    let (_folder, path) = file("lambada.jsonl", &rows);
    let model = Scripted::new(0, 1, |_, _| Outcome::Declined).scoring(|text| {
        let (nll, greedy) = match text.completion.as_str() {
            " tea" => (1.0, Some(true)),
            " milk" => (3.0, Some(false)),
            _ => (9.0, None),
        };
        Scoring::Score(Score { nll, tokens: 1, greedy, whole: true })
    });
    let found = report(&benchmark, &settings(&benchmark), &path, &model);
    // What the model doesn't tell is no right answer, and no likelihood of one.
    assert!((number(&found, Metric::Accuracy) - 1.0 / 3.0).abs() < 1e-12);
    assert!((number(&found, Metric::Perplexity) - 2.0_f64.exp()).abs() < 1e-12);
    assert_eq!(found.account.refused, 1);
    let why = found.account.refused_why.as_deref().unwrap();
    assert!(why.contains("which tokens are the likeliest"), "{why}");
}

#[test]
fn a_benchmark_of_ones_own_is_a_file_with_templates_choices_and_groups() {
    let text = "prompts:\n  - {name: plain, prompt: 'What is {{ text }}?  '}\nchoices: [tea, milk]\nanswer: '{{ label }}'\n\
                rank: {by: characters}\nmetrics: [accuracy, acc_norm]\ngroup: '{{ kind }}'\n";
    let benchmark = Benchmark::parse("own", text).unwrap();
    let row = |text: &str, label: &str, kind: &str| json!({"text": text, "label": label, "kind": kind});
    let rows = [row("white", "milk", "colour"), row("brown", "tea", "colour"), row("hot", "tea", "warmth")];
    let (_folder, path) = file("own.jsonl", &rows);
    let model = liking(|text| {
        assert!(text.prompt.ends_with('?') && text.completion.starts_with(' '), "{text:?}");
        // In all tea is likelier, by characters milk.
        if text.completion == " tea" { 3.0 } else { 3.5 }
    });
    let found = report(&benchmark, &settings(&benchmark), &path, &model);
    assert!((number(&found, Metric::Accuracy) - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(found.groups["colour"].metrics["accuracy"], 0.5);
    assert_eq!((found.groups["warmth"].rows, found.groups["warmth"].metrics["acc_norm"]), (1, 0.0));
    // In words the answer is compared as a text.
    let words = Scripted::new(1, 2, |_, _| {
        Outcome::Text(Completion { text: "tea ".into(), ..Completion::default() })
    });
    let in_words = Settings { in_words: true, wrap: Wrap::None, ..settings(&benchmark) };
    assert!(
        (number(&report(&benchmark, &in_words, &path, &words), Metric::Accuracy) - 2.0 / 3.0).abs() < 1e-12
    );
}

#[test]
fn what_a_model_refuses_counts_as_wrong_and_is_counted() {
    let benchmark = Benchmark::find("boolq").unwrap();
    let row = |passage: &str| json!({"idx": 1, "passage": passage, "question": "is it", "label": 1});
    let (_folder, path) =
        file("x.jsonl", &[row("short"), row("long"), json!({"passage": "p", "question": "q"})]);
    let model =
        Scripted::new(0, 1, |_, _| Outcome::Declined).scoring(|text| match text.prompt.starts_with("long") {
            true => Scoring::Refused("beyond the window".into()),
            false => Scoring::Score(Score {
                nll: if text.completion == " yes" { 1.0 } else { 2.0 },
                tokens: 1,
                greedy: None,
                whole: false,
            }),
        });
    let found = report(&benchmark, &settings(&benchmark), &path, &model);
    assert_eq!(number(&found, Metric::Accuracy), 0.5);
    assert_eq!((found.account.items, found.account.refused, found.account.beyond_window), (2, 1, 1));
    assert_eq!(found.account.rejects, [("missing_column", 1)].into());
}

#[test]
fn what_is_wrong_with_a_benchmark_is_said() {
    let told = |text: &str| {
        let error = Benchmark::parse("own", text).err().unwrap();
        format!("{error}; {}", error.hint().unwrap_or_default())
    };
    let has = |told: &str, part: &str| assert!(told.contains(part), "{told}");
    let rank = "prompts: [{name: p, prompt: '{{ a }}'}]\nchoices: [x, y]\nrank: {}\n";
    has(&told(&format!("{rank}gold: '0'\nmetrics: [squad_f1]")), "`squad_f1` doesn't fit ranked choices");
    has(&told(&format!("{rank}gold: '0'\nmetrics: [acuracy]")), "acuracy");
    has(&told(&format!("{rank}metrics: [accuracy]")), "prompt `p` lacks one of `gold`");
    has(&told(&format!("{rank}gold: '0'\nmetrics: []")), "`metrics` is empty");
    has(&told(&format!("{rank}gold: '0'\nmetrics: [accuracy]\ncolour: red")), "colour");
    has(
        &told("prompts: [{name: p, prompt: '{{ a'}]\nchoices: [x]\ngold: '0'\nrank: {}\nmetrics: [accuracy]"),
        "no valid Jinja",
    );
    has(
        &told("prompts: [{name: p, prompt: a}]\nmetrics: [accuracy]"),
        "one of `rank`, `generate` and `greedy`",
    );
    let error = Benchmark::find("pubmedq").err().unwrap();
    assert!(error.hint().unwrap().contains("`pubmedqa`"));
    // Data: none, of no known shape, in a folder without any.
    let benchmark = Benchmark::find("pubmedqa").unwrap();
    let error = data::open(&benchmark, &[], &nowhere).err().unwrap();
    assert!(error.hint().unwrap().contains("--data PATH"), "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("`BatsResearch/bonito-experiment-eval` isn't in the Hub's cache"), "{cause}");
    let (folder, path) = file("x.jsonl", &[json!({"q": "?"})]);
    let error = data::open(&benchmark, &[path], &nowhere).err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("there is no `question`") && cause.contains("there is no `pmid`"), "{cause}");
    let folder = folder.path().to_str().unwrap().to_owned();
    let error = data::open(&benchmark, &[folder], &nowhere).err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("pqal_"), "{cause}");
}

/// A model that answers each prompt by what `of` makes of it.
fn cooked(of: &dyn Fn(usize, &str) -> String) -> Report {
    let text = "cook: {template: lookup, rows: 40, seed: 3, set: {pairs: 4..6, queries: 1}, wording: bare}";
    let benchmark = Benchmark::parse("short lookups", text).unwrap();
    let rows: Vec<_> = data::open(&benchmark, &[], &nowhere).unwrap().collect();
    assert_eq!(rows.len(), 40);
    let mut tally = Tally::new(&benchmark);
    for (row, item) in rows.into_iter().map(Result::unwrap).enumerate() {
        let right = item.fields["answer"].as_str().unwrap().to_owned();
        let item = benchmark.items(&item, &benchmark.wrap).unwrap().remove(0);
        let said = run::Said::Words { answer: of(row, &right), truncated: false };
        tally.add(&run::Answer { item, row, said });
    }
    tally.report(run::Account::default(), 0)
}

#[test]
fn cooked_rows_are_judged_by_their_template() {
    let value =
        |report: &Report, metric| report.metrics.iter().find(|one| one.metric == metric).unwrap().value;
    let right = cooked(&|_, right| right.to_owned());
    assert_eq!(value(&right, Metric::Verified), Some(1.0));
    let half = cooked(&|row, right| if row % 2 == 0 { right.to_owned() } else { "nothing".to_owned() });
    assert_eq!(value(&half, Metric::Verified), Some(0.5));
    assert_eq!(value(&half, Metric::ExactMatch), Some(0.5));
}

#[test]
fn each_template_of_cook_is_a_benchmark() {
    let names: Vec<String> =
        crate::cook::templates().iter().map(|one| format!("cook_{}", one.name())).collect();
    assert_eq!(built_in::suite("cook").unwrap(), names);
    for name in names {
        let benchmark = Benchmark::find(&name).unwrap();
        assert_eq!(benchmark.metrics[0], Metric::Verified);
        assert!(data::open(&benchmark, &[], &nowhere).unwrap().take(5).all(|row| row.is_ok()), "{name}");
    }
}

#[test]
fn verified_without_cook_and_unknown_templates_are_refused() {
    let refused = |text: &str| Benchmark::parse("one", text).err().unwrap().to_string();
    let plain = "prompts: [{name: a, prompt: '{{ x }}'}]\nreferences: y\ngenerate: {max_tokens: 3}\nmetrics: [verified]";
    assert!(refused(plain).contains("`cook` makes"));
    assert!(refused("cook: {template: look_up}").contains("look_up"));
    assert!(refused("cook: {template: lookup, set: {pears: 3}}").contains("pears"));
}
