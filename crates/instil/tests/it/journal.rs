//! What is there already: continued, refused, taken over, begun anew.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use instil::lm::scripted::Scripted;
use instil::recipe::Generate;
use instil::run::{Done, Existing, Plan};

use crate::support::{bytes, model, recipe, run, said};

/// A model that counts the samples it is asked for.
fn counting() -> (Scripted, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let model = Scripted::new(5, 16, move |request, sample| {
        count.fetch_add(1, Ordering::Relaxed);
        said(request, sample)
    });
    (model.journaled(), asked)
}

/// How many answers of [`said`] are not remembered: refusals.
fn refusals(report: &instil::run::Report) -> u64 {
    report.ledger.stages[3].rejects.get("refused").copied().unwrap_or(0)
}

#[test]
fn an_interrupted_run_pays_only_for_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), 100);
    let (model, asked) = counting();
    let plan = Plan::of(&recipe).unwrap();
    let done = instil::run::generate(&recipe, &plan, &model, Existing::Same, &mut |ledger, _| {
        if ledger.kept() >= 60 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let Done::Interrupted(report) = done.unwrap() else { panic!() };
    assert!(report.ledger.closes() && !report.finished);
    assert!(report.ledger.stages[3].pending > 0);
    let before = asked.load(Ordering::Relaxed);
    assert!(before < 480);

    let Done::Finished(report) = run(&recipe, &model, Existing::Same).unwrap() else { panic!() };
    let again = asked.load(Ordering::Relaxed) - 480;
    assert!(again <= refusals(&report), "{again} asked twice, {} refusals", refusals(&report));

    let elsewhere = tempfile::tempdir().unwrap();
    let straight = crate::support::recipe(elsewhere.path(), 100);
    run(&straight, &crate::support::model(9, 3), Existing::Same).unwrap();
    assert!(bytes(Path::new(&recipe.output)) == bytes(Path::new(&straight.output)));
}

#[test]
fn a_finished_run_is_left_alone_and_its_growth_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe(folder.path(), 50);
    let (model, asked) = counting();
    let Done::Finished(report) = run(&recipe, &model, Existing::Same).unwrap() else { panic!() };
    assert_eq!(asked.swap(0, Ordering::Relaxed), 240);
    assert!(matches!(run(&recipe, &model, Existing::Same).unwrap(), Done::AlreadyFinished(_)));
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    // Another kind of task: only its samples are asked for.
    recipe.task.push("summarization".to_owned());
    let refused = run(&recipe, &model, Existing::Same).unwrap_err();
    assert_eq!(refused.to_string(), format!("`{}` was made by another recipe", recipe.output));
    assert!(std::error::Error::source(&refused).unwrap().to_string().starts_with("task: "));
    assert!(refused.hint().unwrap().contains("--resume"));
    let Done::Finished(more) = run(&recipe, &model, Existing::Resume).unwrap() else { panic!() };
    assert_eq!(asked.swap(0, Ordering::Relaxed), 80 + refusals(&report));

    // One more document: only its samples.
    let mut text = std::fs::read_to_string(&recipe.input[0]).unwrap();
    text += "{\"id\": \"new\", \"text\": \"The new herd holds 9 cows and 7 goats.\"}\n";
    std::fs::write(&recipe.input[0], text).unwrap();
    run(&recipe, &model, Existing::Same).unwrap();
    assert_eq!(asked.swap(0, Ordering::Relaxed), 8 + refusals(&more));

    // Begun anew, everything is asked for.
    run(&recipe, &model, Existing::Overwrite).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 41 * 8);
}

#[test]
fn one_journal_serves_several_runs() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("shared.sqlite").to_string_lossy().into_owned();
    let first = Generate { journal: Some(journal), ..recipe(folder.path(), 20) };
    let second = Generate { output: format!("{}-2", first.output), ..first.clone() };
    let (model, asked) = counting();
    let Done::Finished(report) = run(&first, &model, Existing::Same).unwrap() else { panic!() };
    asked.store(0, Ordering::Relaxed);
    run(&second, &model, Existing::Same).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), refusals(&report));
    assert!(
        bytes(Path::new(&first.output))["data/train-00000-of-00001.parquet"]
            == bytes(Path::new(&second.output))["data/train-00000-of-00001.parquet"]
    );
}

#[test]
fn what_instil_did_not_make_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), 5);
    std::fs::create_dir_all(&recipe.output).unwrap();
    let mine = Path::new(&recipe.output).join("thesis.txt");
    std::fs::write(&mine, "years of work").unwrap();
    for existing in [Existing::Same, Existing::Resume, Existing::Overwrite] {
        let refused = run(&recipe, &model(1, 1), existing).unwrap_err();
        assert!(refused.to_string().contains("no run of instil made it"));
    }
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "years of work");
}

#[test]
fn a_file_that_is_no_journal_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.sqlite");
    std::fs::write(&path, "dear diary, this is certainly no database at all, and it is long enough").unwrap();
    let error = instil::journal::Journal::open(&path).err().unwrap();
    assert!(error.to_string().starts_with("failed to open journal"));
    assert!(error.hint().unwrap().contains("--journal"));
}
