use std::sync::{Arc, Mutex};

use super::super::reply::{Fault, Reply};
use super::*;
use crate::lm::scripted::Scripted;
use crate::lm::{Outcome, Score};
use crate::unify::{Field, Instruction, Level, verify};

fn task(rows: usize, labels: &[&str]) -> Task {
    let row = |at: usize| Instance {
        fields: vec![Field { name: "text".into(), value: format!("kettle {at}") }],
        output: match labels {
            [] => format!("answer number {at}"),
            labels => labels[at % labels.len()].to_owned(),
        },
        references: vec![],
    };
    let mut source = Instruction::new("kettles", Level::Instance);
    source.labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Task { source, to: Level::Task, rows: (0..rows).map(row).collect() }
}

fn candidates(definitions: &[&str]) -> Vec<Candidate> {
    let candidate = |(number, definition): (u32, &&str)| Candidate {
        number,
        reply: Ok(Reply { definition: (*definition).to_owned(), explanations: vec![], notes: vec![] }),
        raw: vec![(*definition).to_owned()],
    };
    (0..).zip(definitions).map(candidate).collect()
}

/// Scores by a function of prompt and answer; tells which texts it was asked about.
fn scoring(
    of: impl Fn(&str, &str) -> (f64, usize) + Send + Sync + 'static,
) -> (Scripted, Arc<Mutex<Vec<Scored>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let model = Scripted::new(0, 1, |_, _| Outcome::Declined).scoring(move |text| {
        seen.lock().unwrap().push(text.clone());
        let (nll, tokens) = of(&text.prompt, &text.completion);
        Scoring::Score(Score { nll, tokens, greedy: None, whole: true })
    });
    (model, asked)
}

fn chosen(task: &Task, candidates: &[Candidate], model: Option<&Scripted>) -> Choice {
    let style = Style::built_in("super-ni").unwrap();
    let judge = model.map(|model| Judge { model, journal: None, style: &style });
    let check = |definition: &str, rows: &[Instance]| verify(&task.source, definition, rows);
    choose(task, candidates, judge.as_ref(), 7, &check, &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

fn number(text: &str) -> f64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0.0)
}

/// The row of a prompt: the number behind the last `kettle`.
fn row(prompt: &str) -> f64 {
    number(prompt.rsplit("kettle ").next().unwrap())
}

#[test]
fn acceptance_6_scores_are_those_by_hand_and_every_candidate_has_the_same_rows() {
    let task = task(60, &[]);
    // A row's loss: 1 for `Say a.`, 2 for `Say b.`, 5 without, plus a hundredth of its number; over 4 tokens.
    let (model, asked) = scoring(|prompt, _| {
        let base = if prompt.contains("Say a.") {
            1.0
        } else if prompt.contains("Say b.") {
            2.0
        } else {
            5.0
        };
        (4.0 * (base + row(prompt) / 100.0), 4)
    });
    let choice = chosen(&task, &candidates(&["Say b.", "Say a.", "Say a."]), Some(&model));
    let drawn = Drawn::of(&task, 7);
    let mean_row = drawn.scored.iter().map(|row| number(&row.fields[0].value)).sum::<f64>() / 32.0;
    let near = |found: Option<f64>, wanted: f64| {
        assert!((found.unwrap() - wanted).abs() < 1e-9, "{found:?} {wanted}")
    };
    assert_eq!((choice.rows, choice.chosen, choice.runner_up), (32, Some(1), Some(0)));
    near(choice.candidates[1].score, 1.0 + mean_row / 100.0);
    near(choice.candidates[0].score, 2.0 + mean_row / 100.0);
    near(choice.without, 5.0 + mean_row / 100.0);
    near(choice.candidates[1].lift.map(|lift| lift.nats), 4.0);
    near(choice.gap.map(|gap| gap.nats), 1.0);
    near(choice.gap.and_then(|gap| gap.standard_error), 0.0);
    assert_eq!(choice.reason, Why::Likeliest);
    assert_eq!(choice.candidates[2].same_as, Some(1), "the same words are scored once");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3 * 32);
    // The rows and examples of both candidates are the same, the examples none of the rows.
    let less =
        |text: &Scored, definition: &str| text.prompt.replace(&format!("Definition: {definition}\n\n"), "");
    for at in 0..32 {
        assert_eq!(less(&asked[32 + at], "Say b."), less(&asked[64 + at], "Say a."));
        assert_eq!(
            less(&asked[32 + at], "Say b."),
            asked[at].prompt,
            "without a definition the line is gone"
        );
        assert!(asked[at].prompt.ends_with("Output:") && asked[at].completion.starts_with(" answer number "));
        let examples = &asked[at].prompt[..asked[at].prompt.find("Now complete").unwrap()];
        assert!(
            !examples.contains(asked[at].completion.trim_start_matches(' '))
                || examples.contains(&format!("{} ", asked[at].completion)),
            "{examples}"
        );
    }
}

#[test]
fn paired_errors_are_those_by_hand() {
    let task = task(60, &[]);
    // `Say b.` is worse by 1 at even rows, better by 0.5 at odd ones.
    let (model, _) = scoring(|prompt, _| {
        let odd = row(prompt) % 2.0;
        let base = if prompt.contains("Say b.") {
            2.0 - 1.5 * odd
        } else if prompt.contains("Say a") {
            1.0
        } else {
            9.0
        };
        (base, 1)
    });
    let choice = chosen(&task, &candidates(&["Say a, and say all of it.", "Say b."]), Some(&model));
    let drawn = Drawn::of(&task, 7);
    let n = drawn.scored.len() as f64;
    let odd = drawn.scored.iter().map(|row| number(&row.fields[0].value) % 2.0).sum::<f64>();
    let mean = ((n - odd) - 0.5 * odd) / n;
    let squares = (n - odd) * (1.0 - mean).powi(2) + odd * (-0.5 - mean).powi(2);
    let error = (squares / (n - 1.0) / n).sqrt();
    let (best, other) = if mean > 0.0 { (0, 1) } else { (1, 0) };
    let behind = choice.candidates[other].behind.or(choice.candidates[best].behind).unwrap();
    assert!(
        (behind.nats.abs() - mean.abs()).abs() < 1e-9
            && (behind.standard_error.unwrap() - error).abs() < 1e-9
    );
    let expected = match mean.abs() <= error {
        true => (Why::Shorter, Some(1)),
        false => (Why::Likeliest, Some(best as u32)),
    };
    assert_eq!((choice.reason, choice.chosen), expected);
}

#[test]
fn within_a_standard_error_the_shorter_one_is_taken() {
    let task = task(60, &[]);
    let (model, _) = scoring(|prompt, _| {
        let sign = if row(prompt) % 2.0 == 0.0 { 1.0 } else { -1.0 };
        let base = if prompt.contains("Say b.") {
            1.01 + sign
        } else if prompt.contains("Say a") {
            1.0
        } else {
            9.0
        };
        (base, 1)
    });
    let choice = chosen(&task, &candidates(&["Say a, and say all of it.", "Say b."]), Some(&model));
    assert_eq!((choice.reason, choice.chosen, choice.runner_up), (Why::Shorter, Some(1), Some(0)));
}

#[test]
fn acceptance_5_a_cut_off_candidate_is_never_scored() {
    let mut task = task(60, &[]);
    task.source.definition = Some("Answer, or say \"No idea at all.\" where there is none.".into());
    // The least loss is the cut one's.
    let (model, asked) = scoring(|prompt, _| {
        (if prompt.contains("output \n") { 0.1 } else { 1.0 + f64::from(!prompt.contains("Definition")) }, 1)
    });
    let good = "Answer the question, or say \"No idea at all.\" where there is none.";
    let mut all = candidates(&["Answer the question. If there is none, output ", good]);
    all.push(Candidate { number: 2, reply: Err(Fault::Truncated), raw: vec!["{\"defin".into()] });
    let choice = chosen(&task, &all, Some(&model));
    assert_eq!((choice.chosen, choice.reason, choice.definition()), (Some(1), Why::Only, Some(good)));
    assert_eq!((choice.candidates[2].fault, choice.candidates[2].raw.len()), (Some("truncated_reply"), 1));
    assert!(asked.lock().unwrap().iter().all(|text| !text.prompt.contains("none, output")));
    let only_bad = chosen(&task, &all[..1], Some(&model));
    assert_eq!((only_bad.chosen, only_bad.reason), (None, Why::NonePasses));
}

#[test]
fn a_definition_has_to_be_better_than_none() {
    let task = task(60, &[]);
    let (model, _) = scoring(|prompt, _| (if prompt.contains("Definition") { 2.0 } else { 1.0 }, 1));
    let choice = chosen(&task, &candidates(&["Say a.", "Say b."]), Some(&model));
    assert_eq!((choice.chosen, choice.reason), (None, Why::NoLift));
    assert!(choice.candidates[0].lift.unwrap().nats < 0.0);
}

#[test]
fn of_a_closed_set_the_right_label_counts_first() {
    let task = task(60, &["good", "bad", "so-so"]);
    let (model, asked) = scoring(|prompt, answer| {
        let gold = ["good", "bad", "so-so"][row(prompt) as usize % 3];
        let is_gold = answer.trim() == gold;
        // The first knows every label by a hair and thinks nothing likely; the second always says `good`.
        let loss = match (prompt.contains("all labels"), prompt.contains("Definition")) {
            (true, _) => {
                if is_gold {
                    3.0
                } else {
                    3.1
                }
            }
            (false, true) => {
                if answer.trim() == "good" {
                    0.5
                } else {
                    2.0
                }
            }
            (false, false) => 4.0,
        };
        (2.0 * loss, 2)
    });
    let definitions = ["Say “good”, “bad” or “so-so”: all labels.", "Say good, bad or so-so."];
    let choice = chosen(&task, &candidates(&definitions), Some(&model));
    assert_eq!((choice.chosen, choice.reason), (Some(0), Why::MostRight));
    assert_eq!(choice.candidates[0].right, Some(1.0));
    let good = Drawn::of(&task, 7).scored.iter().filter(|row| row.output == "good").count();
    assert_eq!(choice.candidates[1].right, Some(good as f64 / choice.rows as f64));
    assert_eq!(asked.lock().unwrap().len(), 3 * 3 * choice.rows);
}

#[test]
fn without_scores_the_first_that_passes_is_taken() {
    let task = task(60, &[]);
    let choice = chosen(&task, &candidates(&["It ends with", "Say a.", "Say b."]), None);
    assert_eq!((choice.chosen, choice.reason), (Some(1), Why::Unscored));
    let model = Scripted::new(0, 1, |_, _| Outcome::Declined).scoring(|_| Scoring::Refused("long".into()));
    let choice = chosen(&task, &candidates(&["Say a."]), Some(&model));
    assert_eq!((choice.chosen, choice.reason), (None, Why::NoScore));
}

#[test]
fn the_line_of_a_definition_is_taken_out_of_any_style() {
    let rows = task(60, &[]);
    for style in Style::all_built_in().iter().filter(|style| style.has_definition()) {
        let (model, _) = scoring(|_, _| (1.0, 1));
        let judge = Judge { model: &model, journal: None, style };
        let drawn = Drawn::of(&rows, 7);
        for (with, without) in
            judge.texts(&rows, &drawn, Some("Say it.")).iter().zip(judge.texts(&rows, &drawn, None))
        {
            assert!(with.prompt.contains("Say it."), "{}", style.name());
            assert!(
                !without.prompt.contains(['\u{1}']) && without.prompt.contains("kettle"),
                "{}",
                style.name()
            );
            assert!(without.prompt.len() < with.prompt.len());
            assert_eq!(with.completion.trim(), without.completion.trim());
            assert!(with.prompt.trim_end() == with.prompt && with.completion.starts_with([' ', '\n']));
        }
    }
}

/// The authors' 32 candidates for a task of P3, and what a model made of each (spec/uit.md 3.3, 6.3).
#[test]
#[allow(clippy::print_stderr, reason = "who reads the tests is told what was skipped")]
fn of_the_published_candidates_no_cut_one_is_chosen_though_the_likeliest_is_cut() {
    use std::io::Read as _;

    use super::super::reference::Recorded;
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/uit_ppl"));
    let Ok(file) = std::fs::File::open(folder.join("candidates.jsonl.gz")) else {
        eprintln!("skipped: ../shared/data/uit_ppl isn't there");
        return;
    };
    let mut lines = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut lines).unwrap();
    let losses = std::fs::read_to_string(folder.join("example_result.jsonl")).unwrap();
    let recorded = Recorded::parse(&losses).unwrap().remove(0);
    let mut all = Vec::new();
    let mut by_definition = HashMap::new();
    for line in lines.lines() {
        let candidate: serde_json::Value = serde_json::from_str(line).unwrap();
        let file = candidate["file"].as_str().unwrap();
        let number: u32 = file[..file.find("of32").unwrap()].parse().unwrap();
        let definition = candidate["Definition"][0].as_str().unwrap().to_owned();
        by_definition.insert(definition.trim().to_owned(), recorded.losses[file].as_f64().unwrap());
        let reply = Reply { definition, explanations: vec![], notes: vec![] };
        all.push(Candidate { number, reply: Ok(reply), raw: vec![] });
    }
    all.sort_by_key(|candidate| candidate.number);
    // The judge says of every row what their model said of the candidate.
    let (model, _) = scoring(move |prompt, _| {
        let definition = prompt.strip_prefix("Definition: ").and_then(|rest| rest.split("\n\n").next());
        (definition.map_or(99.0, |definition| by_definition[definition.trim()]), 1)
    });
    // The audit's mark: what followed the first quotation mark was lost, the blank before it stayed.
    let cut = |candidate: &Candidate| candidate.definition().unwrap().ends_with(' ');
    assert_eq!(all.iter().filter(|candidate| cut(candidate)).count(), 21);
    let (least, _) = recorded.chosen().unwrap();
    assert!(least.starts_with("31of32") && cut(&all[31]), "the least loss is a cut one's");
    let choice = chosen(&task(60, &[]), &all, Some(&model));
    let chosen = choice.chosen.unwrap();
    assert!(!cut(&all[chosen as usize]), "{:?}", choice.definition());
    for judged in &choice.candidates {
        let is_cut = cut(&all[judged.number as usize]);
        assert!(!is_cut || judged.score.is_none(), "{:?} was scored", judged.definition);
    }
    let scored = choice.candidates.iter().filter(|judged| judged.score.is_some()).count();
    assert!(scored > 5, "{scored} candidates were scored");
    // Of those that were, it has the least recorded loss, or is the shorter of two that are as good.
    let best = choice.candidates.iter().filter_map(|judged| judged.score).min_by(f64::total_cmp).unwrap();
    assert!(choice.candidates[chosen as usize].score.unwrap() - best < 1e-9);
}
