use super::*;
use crate::lm::scripted::Scripted;
use crate::lm::{Outcome, Score};
use crate::unify::{Field, Instruction, Level};

fn task(rows: usize) -> Task {
    let row = |at: usize| Instance {
        fields: vec![Field { name: String::new(), value: format!("kettle {at}") }],
        output: if at == 3 { String::new() } else { format!("answer {at}") },
        references: vec![],
    };
    Task {
        source: Instruction::new("kettles", Level::Instance),
        to: Level::Task,
        rows: (0..rows).map(row).collect(),
    }
}

#[test]
fn the_prompt_is_the_published_one_with_its_list() {
    let example = |text: &str| Exemplar {
        input: format!("{text} in"),
        output: format!("\n{text} out\n"),
        explanation: None,
    };
    let prompt =
        prompt(&["Say \"a\" isn't\nb|||c.".to_owned()], &[example("one"), example("two")], "it").unwrap();
    assert_eq!(
        prompt,
        "Definition: ['Say \"a\" isn\\'t\\nb|||c.']\n\nPositive Examples 1\nInput: one in\nOutput: \none out\n\n\n\
         Positive Examples 2\nInput: two in\nOutput: \ntwo out\n\n\nNow complete the following example -\nInput: it\nOutput: "
    );
    assert!(super::prompt(&[], &[example("one")], "it").is_err());
}

#[test]
fn a_loss_is_the_mean_of_four_batches_whatever_their_tokens() {
    // Batches of 8, 8, 8 and 1 rows: 1, 2, 3 and 4 nats a token.
    let rows: Vec<(f64, usize)> =
        (0..25).map(|at| ((at / 8 + 1) as f64 * (at % 3 + 1) as f64, at % 3 + 1)).collect();
    assert!((loss(&rows).unwrap() - 2.5).abs() < 1e-12);
    let uneven: Vec<(f64, usize)> = [(10.0, 1)].into_iter().chain(vec![(7.0, 7); 31]).collect();
    // The first batch: (10 + 7 * 7) / 50; the others 1.
    assert!((loss(&uneven).unwrap() - (59.0 / 50.0 + 3.0) / 4.0).abs() < 1e-12);
    assert_eq!(loss(&rows[..24]), None);
}

#[test]
fn acceptance_6_losses_are_those_by_hand_and_rows_differ_between_candidates() {
    let texts = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&texts);
    let model = Scripted::new(0, 1, |_, _| Outcome::Declined).scoring(move |text: &Scored| {
        seen.lock().unwrap().push(text.clone());
        let tokens = text.completion.len();
        let nll = if text.prompt.contains("['a']") { 2.0 } else { 3.0 } * tokens as f64;
        Scoring::Score(Score { nll, tokens, greedy: None, whole: !text.prompt.contains("['long']") })
    });
    let style = Style::built_in("super-ni").unwrap();
    let definitions = [Some("a"), None, Some("b"), Some("long")];
    let found = losses(&task(40), &definitions, (&model, None), &style, 7).unwrap();
    assert_eq!(found, [Some(2.0), None, Some(3.0), None]);
    let texts = texts.lock().unwrap();
    let answers =
        |from: usize| texts[from..from + 32].iter().map(|text| text.completion.clone()).collect::<Vec<_>>();
    assert_ne!(answers(0), answers(32), "each candidate has rows of its own");
    assert!(texts.iter().all(|text| text.apart && text.prompt.ends_with("Output: ")));
    assert!(texts.iter().any(|text| text.completion == "null"), "an empty answer is scored as `null`");
    drop(texts);
    assert_eq!(losses(&task(24), &definitions[..1], (&model, None), &style, 7).unwrap(), [None]);
}

#[test]
fn records_are_read_as_they_are_written() {
    let lines = "{\"task\":\"a.json\",\"CEloss\":{\"0of2\":2.0,\"1of2\":null,\"2of2\":1.0}}\n\n";
    let recorded = Recorded::parse(lines).unwrap();
    assert_eq!(recorded[0].chosen(), Some(("2of2", 1.0)));
    let summary = recorded[0].summary().unwrap();
    assert_eq!(
        (summary.candidates, summary.least, summary.mean, summary.most, summary.deviation),
        (2, 1.0, 1.5, 2.0, 0.5)
    );
    assert_eq!(serde_json::to_string(&recorded[0]).unwrap(), lines.trim_end());
    assert!(Recorded::parse("{}").unwrap_err().to_string().contains("line 1"));
    assert_eq!(Recorded { task: String::new(), losses: Map::new() }.summary(), None);
}

/// The numbers of spec/uit.md 3.3, from the authors' file.
#[test]
#[allow(clippy::print_stderr, reason = "who reads the tests is told what was skipped")]
fn the_published_averages_come_from_the_published_losses() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/uit_ppl/example_result.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: ../shared/data/uit_ppl isn't there");
        return;
    };
    let recorded = Recorded::parse(&text).unwrap();
    for (recorded, (number, least, mean, most, deviation)) in
        recorded.iter().zip([(31, 5.6718, 6.6856, 8.9051, 0.7086), (15, 15.3021, 15.8373, 16.5187, 0.2534)])
    {
        let summary = recorded.summary().unwrap();
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 5e-5, "{found} {wanted}");
        assert_eq!(summary.candidates, 32);
        near(summary.least, least);
        near(summary.mean, mean);
        near(summary.most, most);
        near(summary.deviation, deviation);
        assert!(recorded.chosen().unwrap().0.starts_with(&format!("{number}of32sample_")));
    }
}
