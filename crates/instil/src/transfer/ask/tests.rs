use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::super::cost::Caps;
use super::*;
use crate::lm::Completion;
use crate::lm::scripted::Scripted;
use crate::unify::{Field, Instance, Instruction, Level};

fn tasks(names: &[&str]) -> Vec<Task> {
    let row = |at: usize| Instance {
        fields: vec![Field { name: "text".into(), value: format!("kettle {at}") }],
        output: ["good", "bad"][at % 2].into(),
        references: vec![],
    };
    let task = |name: &&str| Task {
        source: Instruction {
            definition: Some("Is it good?".into()),
            ..Instruction::new(*name, Level::Instance)
        },
        to: Level::Task,
        rows: (0..12).map(row).collect(),
    };
    names.iter().map(task).collect()
}

fn text(text: &str) -> Outcome {
    Outcome::Text(Completion { text: text.to_owned(), ..Completion::default() })
}

/// Answers with its sample's number, once it was told what is wrong where `stubborn` says so; counts its calls' samples.
fn model(counter: &Arc<AtomicU64>, order: u64) -> Scripted {
    let counter = Arc::clone(counter);
    Scripted::new(order, 2, move |request, sample| {
        counter.fetch_add(1, Ordering::Relaxed);
        let asked = request.input.text();
        if sample == 2 && !asked.contains("can't be used") {
            return text("Sure, I can do that!");
        }
        text(&format!("{{\"definition\": \"Say {sample}.\", \"explanations\": [\"a\", \"b\"]}}"))
    })
    .journaled()
}

fn free() -> Budget {
    Budget::new(Caps::default(), None).unwrap()
}

fn go_on() -> impl FnMut(u64) -> ControlFlow<()> {
    |_| ControlFlow::Continue(())
}

#[test]
fn a_task_is_asked_once_and_what_cannot_be_used_again() {
    let tasks = tasks(&["one", "two"]);
    let settings = Settings::of(4, 7);
    let mut first: Option<Asked> = None;
    for order in 0..4 {
        let counter = Arc::new(AtomicU64::new(0));
        let model = model(&counter, order);
        let asking = Asking { model: &model, journal: None, pairs: &[], settings: &settings };
        let mut budget = free();
        let asked = ask(&tasks, &asking, &mut budget, &mut go_on()).unwrap();
        assert_eq!((asked.end.clone(), counter.load(Ordering::Relaxed)), (End::Whole, 10));
        // Two calls for the tasks, one for each of the two answers that were no JSON.
        assert_eq!(budget.spent().calls, 4);
        assert_eq!(asked.counts(), BTreeMap::from([("asked_again", 2)]));
        let candidates = asked.candidates[1].as_ref().unwrap();
        assert_eq!(candidates.iter().map(|one| one.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(candidates[2].raw.len(), 2);
        assert_eq!(candidates[2].raw[0], "Sure, I can do that!");
        assert_eq!(candidates[3].definition(), Some("Say 3."));
        assert_eq!(
            *first.get_or_insert_with(|| asked.clone()),
            asked,
            "the order of answers changes nothing"
        );
    }
}

#[test]
fn what_stays_wrong_is_named_and_kept() {
    let tasks = tasks(&["one"]);
    let settings = Settings { candidates: 3, ..Settings::of(3, 0) };
    let model = Scripted::new(0, 4, |request, sample| match (request.samples.len(), sample) {
        (3, 0) => Outcome::Refused("no".into()),
        (3, 1) => text("{\"definition\": \"nan\"}"),
        (3, 2) => Outcome::Failed("busy".into()),
        _ => text("nothing"),
    });
    let asking = Asking { model: &model, journal: None, pairs: &[], settings: &settings };
    let asked = ask(&tasks, &asking, &mut free(), &mut go_on()).unwrap();
    let candidates = asked.candidates[0].as_ref().unwrap();
    assert_eq!(candidates[1].raw, ["{\"definition\": \"nan\"}", "nothing", "nothing"]);
    assert_eq!(candidates[0].raw, ["no"]);
    assert_eq!(asked.counts(), BTreeMap::from([("failed", 1), ("no_json", 1), ("refused", 1)]));
    assert_eq!(asked.failed(), 1);
}

/// A call: its input, its seed and its sample.
type Call = (String, u64, u32);

#[test]
fn acceptance_7_a_killed_run_asks_for_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = tasks(&["one", "two", "three"]);
    let settings = Settings::of(4, 7);
    let made: Arc<Mutex<Vec<(Call, usize)>>> = Arc::default();
    let seen = Arc::clone(&made);
    let model = Scripted::new(3, 2, move |request, sample| {
        let asked = request.input.text();
        let call = (asked.clone(), request.seed, sample);
        seen.lock().unwrap().push((call, request.samples.len()));
        if sample == 2 && !asked.contains("can't be used") {
            return text("Sure, I can do that!");
        }
        text(&format!("{{\"definition\": \"Say {sample}.\", \"explanations\": [\"a\", \"b\"]}}"))
    })
    .journaled();
    // Breaks off after so many looks; the journal is opened anew, as by a new process. Gives the calls made, too.
    let run = |name: &str, most: usize| {
        let journal = Journal::open(&folder.path().join(name)).unwrap();
        let asking = Asking { model: &model, journal: Some(&journal), pairs: &[], settings: &settings };
        let mut looked = 0;
        let asked = ask(&tasks, &asking, &mut free(), &mut |_| {
            looked += 1;
            if looked >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (asked.unwrap(), std::mem::take(&mut *made.lock().unwrap()))
    };
    let (whole, calls) = run("whole", usize::MAX);
    assert_eq!((whole.end.clone(), calls.len()), (End::Whole, 15));
    // A call is remembered when all of its samples have come; one that was under way is asked for again.
    let mut remembered: Vec<(String, u64)> = Vec::new();
    let mut broken = 0;
    loop {
        let (asked, calls) = run("killed", 3 + 2 * broken);
        let mut counts: HashMap<(String, u64), usize> = HashMap::new();
        for ((input, seed, _), samples) in &calls {
            let call = (input.clone(), *seed);
            assert!(!remembered.contains(&call), "asked twice: {call:?}");
            let count = counts.entry(call.clone()).or_default();
            *count += 1;
            if *count == *samples {
                remembered.push(call);
            }
        }
        if asked.end == End::Whole {
            assert_eq!(asked, whole);
            break;
        }
        broken += 1;
        assert!(broken < 50);
    }
    assert!(broken > 3, "it was broken off {broken} times");
    assert_eq!(run("killed", usize::MAX), (whole, vec![]), "a finished run calls nobody");
}

#[test]
fn a_cap_ends_in_order_and_the_rest_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let tasks = tasks(&["one", "two", "three"]);
    let settings = Settings { again: 0, ..Settings::of(2, 7) };
    let counter = Arc::new(AtomicU64::new(0));
    let model = model(&counter, 0);
    let asking = Asking { model: &model, journal: Some(&journal), pairs: &[], settings: &settings };
    let capped = |calls| Budget::new(Caps { calls: Some(calls), ..Caps::default() }, None).unwrap();
    let mut budget = capped(2);
    let asked = ask(&tasks, &asking, &mut budget, &mut go_on()).unwrap();
    assert_eq!(asked.end, End::Capped("the cap of 2 calls is reached".into()));
    assert_eq!(asked.candidates.iter().filter(|found| found.is_some()).count(), 2);
    assert_eq!(budget.spent().calls, 2);
    // What is known costs nothing, so one call is enough for the rest.
    let mut budget = capped(1);
    let asked = ask(&tasks, &asking, &mut budget, &mut go_on()).unwrap();
    assert_eq!((asked.end, counter.load(Ordering::Relaxed)), (End::Whole, 6));
    let dear = Caps { tokens: Some(1_500), ..Caps::default() };
    let mut budget = Budget::new(dear, None).unwrap();
    let asking = Asking { model: &model, journal: None, pairs: &[], settings: &settings };
    let asked = ask(&tasks, &asking, &mut budget, &mut go_on()).unwrap();
    assert!(matches!(asked.end, End::Capped(_)));
    let spent = budget.spent();
    assert!(spent.tokens_in + spent.tokens_out <= 1_500 && spent.calls > 0, "{spent:?}");
}
