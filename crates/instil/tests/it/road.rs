//! The road as a whole: nothing lost, and the same bytes however the answers come.

use std::path::Path;

use instil::lm::Outcome;
use instil::lm::scripted::Scripted;
use instil::reject::Stage;
use instil::run::{Done, Existing};

use crate::support::{bytes, model, recipe, run, said};

#[test]
fn every_sample_ends_as_a_row_or_under_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), 100);
    let Done::Finished(report) = run(&recipe, &model(1, 8), Existing::Same).unwrap() else { panic!() };
    let ledger = &report.ledger;
    assert!(ledger.closes());
    let count = |stage| ledger.stage(stage);
    assert_eq!((count(Stage::Read).r#in, count(Stage::Read).out), (100, 80));
    assert_eq!(count(Stage::Read).rejects["invalid_json"], 10);
    assert_eq!(count(Stage::Read).rejects["empty_text"], 10);
    assert_eq!(count(Stage::Prompt).out, 240);
    assert_eq!(count(Stage::Generate).expected, 480);
    for (stage, word) in [
        (Stage::Generate, "declined"),
        (Stage::Generate, "refused"),
        (Stage::Parse, "no_pipe"),
        (Stage::Parse, "empty_response"),
        (Stage::Check, "answer_not_in_text"),
        (Stage::Check, "duplicate"),
    ] {
        assert!(count(stage).rejects.contains_key(word), "{word}");
    }
    assert!(ledger.repairs["placeholder_variant"] > 0);
    let by_kind: u64 = ledger.kinds.values().map(|kind| kind.kept + kind.rejects.values().sum::<u64>()).sum();
    assert_eq!(by_kind, 480);
    assert_eq!(report.rows, ledger.kept());

    let stats = instil::stats::of(Path::new(&recipe.output)).unwrap();
    assert_eq!(stats.rows, report.rows);
    let shares = &stats.sources["corpus.jsonl"];
    assert_eq!(shares.values().map(|share| share.kept).sum::<u64>(), report.rows);
    assert_eq!(shares.values().map(|share| share.kept + share.rejected).sum::<u64>(), 480);
}

#[test]
fn the_order_of_answers_changes_no_byte() {
    let of = |order, room| {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(folder.path(), 120);
        run(&recipe, &model(order, room), Existing::Same).unwrap();
        bytes(Path::new(&recipe.output))
    };
    let first = of(1, 1);
    assert!(first.keys().any(|name| name.starts_with("data/")));
    assert!(first.contains_key("run/rejects.parquet"));
    for (order, room) in [(2, 7), (3, 64), (4, 100_000)] {
        assert!(of(order, room) == first, "order {order}, room {room}");
    }
}

#[test]
fn the_order_of_documents_changes_no_row() {
    let of = |reversed: bool| {
        let folder = tempfile::tempdir().unwrap();
        let mut recipe = recipe(folder.path(), 60);
        recipe.output += ".jsonl";
        if reversed {
            let text = std::fs::read_to_string(&recipe.input[0]).unwrap();
            let lines: Vec<&str> = text.lines().rev().collect();
            std::fs::write(&recipe.input[0], lines.join("\n")).unwrap();
        }
        run(&recipe, &model(1, 8), Existing::Same).unwrap();
        let rows = std::fs::read_to_string(&recipe.output).unwrap();
        let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    assert_eq!(of(false), of(true));
}

#[test]
fn a_call_that_fails_for_good_leaves_the_run_to_be_continued() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), 30);
    let failing = Scripted::new(1, 8, |request, sample| {
        if request.seed % 5 == 0 { Outcome::Failed("503".to_owned()) } else { said(request, sample) }
    })
    .journaled();
    let Done::Failed(report) = run(&recipe, &failing, Existing::Same).unwrap() else { panic!() };
    assert!(report.ledger.closes() && report.ledger.stage(Stage::Generate).errors > 0);
    assert!(!Path::new(&recipe.output).join("data").exists(), "nothing half made is in its place");

    // Unless the user wants what there is; the next start asks for the rest all the same.
    let enough = instil::recipe::Generate { allow_errors: true, ..recipe.clone() };
    let Done::Finished(report) = run(&enough, &failing, Existing::Same).unwrap() else { panic!() };
    assert!(report.ledger.stage(Stage::Generate).errors > 0 && report.rows > 0);

    let whole = model(1, 8).journaled();
    assert!(matches!(run(&recipe, &whole, Existing::Same).unwrap(), Done::Finished(_)));
    let elsewhere = tempfile::tempdir().unwrap();
    let straight = crate::support::recipe(elsewhere.path(), 30);
    run(&straight, &whole, Existing::Same).unwrap();
    assert!(bytes(Path::new(&recipe.output)) == bytes(Path::new(&straight.output)));
}

/// A book is more passages than there is room for: once, the road and the threads of `rules` waited for
/// each other for ever.
#[test]
fn a_document_of_many_passages_is_asked_for_as_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let sentence = |i| format!("Survey {i} of Lake Orrin was led by Ada Brandt in {}. ", 1900 + i % 100);
    std::fs::write(folder.path().join("book.txt"), (0..6000).map(sentence).collect::<String>()).unwrap();
    let recipe = instil::recipe::Generate {
        input: vec![folder.path().join("book.txt").to_string_lossy().into_owned()],
        output: folder.path().join("out").to_string_lossy().into_owned(),
        chunk_chars: 200,
        ..instil::recipe::Generate::default()
    };
    let rules = instil::rules::Rules::new(std::num::NonZeroUsize::new(2).unwrap());
    let Done::Finished(report) = run(&recipe, &rules, Existing::Same).unwrap() else { panic!() };
    assert!(report.ledger.stage(Stage::Chunk).out > 1000);
    let scripted = crate::support::recipe(folder.path(), 0);
    let scripted =
        instil::recipe::Generate { input: recipe.input, output: scripted.output + "-2", ..scripted };
    let Done::Finished(report) = run(&scripted, &model(1, 3), Existing::Same).unwrap() else { panic!() };
    assert!(report.ledger.closes());
}

/// The published code cuts the prompt's tail, `<|task|>`, off where a passage is too long (spec/bonito.md 1.5).
#[test]
fn no_passage_pushes_the_prompts_tail_out_of_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = folder.path().join("tokenizer.json");
    std::fs::write(
        &tokenizer,
        r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}"#,
    )
    .unwrap();
    let text: String = (0..400).map(|i| format!("Herd {i} holds {} cows, and more. ", i + 2)).collect();
    std::fs::write(folder.path().join("long.txt"), text).unwrap();
    let recipe = instil::recipe::Generate {
        input: vec![folder.path().join("long.txt").to_string_lossy().into_owned()],
        tokenizer: Some(tokenizer.to_string_lossy().into_owned()),
        window: Some(120),
        max_tokens: 40,
        ..recipe(folder.path(), 0)
    };
    let counter = instil::chunk::load_tokenizer(&tokenizer).unwrap();
    let model = Scripted::new(1, 8, move |request, sample| {
        let prompt = request.input.text();
        assert!(prompt.starts_with("<|tasktype|>\n") && prompt.ends_with("\n<|task|>\n"));
        assert!(instil::chunk::count_tokens(&counter, &prompt) + 40 <= 120, "{prompt}");
        said(request, sample)
    });
    let Done::Finished(report) = run(&recipe, &model, Existing::Same).unwrap() else { panic!() };
    assert!(report.ledger.stage(Stage::Chunk).out > 40);
    assert!(report.ledger.stage(Stage::Prompt).rejects.is_empty());

    let narrow =
        instil::recipe::Generate { window: Some(50), output: recipe.output.clone() + "-2", ..recipe };
    let error = run(&narrow, &model, Existing::Same).unwrap_err();
    assert!(error.to_string().contains("a window of 50 tokens has no room for a passage"), "{error}");
}
