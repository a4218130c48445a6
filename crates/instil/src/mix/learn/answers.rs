//! What a model answered, as it is kept on disk: a line for each item.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::benchmark::item::Ask;
use crate::benchmark::report::{guess, worth};
use crate::benchmark::run::{Answer, Said};
use crate::benchmark::{Benchmark, Kind};
use crate::error::{Error, Result};
use crate::metrics::squad;
use crate::mix::labelfree::Votes;
use crate::sink::write_whole;

/// What a model answered about an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The item: its row and its prompt.
    pub id: String,
    /// How many answers there are to choose from; none where they are free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<u32>,
    /// The answer: the number of a choice, or a normalised text. None where the model said nothing.
    pub said: Option<String>,
    /// What is right, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gold: Option<String>,
    /// What the answer is worth by the benchmark's first metric, from 0 to 1, where the right one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worth: Option<f64>,
    /// The negative logarithm of the share that the right choice has of the likelihood of all, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

impl Answered {
    /// What is kept of an answer.
    pub fn of(benchmark: &Benchmark, answer: &Answer) -> Self {
        let id = format!("{}#{}", answer.item.id, answer.item.prompt);
        let worth = benchmark.is_labelled.then(|| worth(benchmark, answer)).filter(|worth| worth.is_finite());
        let words = match &answer.said {
            Said::Words { answer, .. } => Some(squad::normalized(answer)),
            Said::Completed { is_greedy, .. } => Some(is_greedy.to_string()),
            _ => None,
        };
        match &answer.item.ask {
            Ask::Choice { choices, gold, .. } => {
                let loss = match &answer.said {
                    Said::Likely { nlls, .. } if benchmark.is_labelled => Some(cross_entropy(nlls, *gold)),
                    _ => None,
                };
                Self {
                    id,
                    choices: Some(choices.len() as u32),
                    said: guess(benchmark, answer).map(|guess| guess.to_string()),
                    gold: benchmark.is_labelled.then(|| gold.to_string()),
                    worth,
                    loss: loss.filter(|loss| loss.is_finite()),
                }
            }
            Ask::Text { references, .. } => {
                let gold = references.first().filter(|_| benchmark.is_labelled);
                Self { id, choices: None, said: words, gold: gold.cloned(), worth, loss: None }
            }
            Ask::Completion { .. } => {
                let loss = match &answer.said {
                    Said::Completed { nll, .. } => Some(*nll),
                    _ => None,
                };
                // Whether it follows greedily is all that is said.
                Self { id, choices: Some(2), said: words, gold: None, worth, loss }
            }
        }
    }
}

/// The negative logarithm of the right choice's share of the likelihood.
fn cross_entropy(nlls: &[f64], gold: usize) -> f64 {
    let least = nlls.iter().copied().fold(f64::MAX, f64::min);
    let all: f64 = nlls.iter().map(|nll| (least - nll).exp()).sum();
    nlls[gold] - least + all.ln()
}

/// Whether models that answer this benchmark can be told apart by their answers alone.
///
/// # Errors
/// When its answers are whether a given text follows, which says what is right.
pub fn has_votes(benchmark: &Benchmark) -> Result<()> {
    match benchmark.kind {
        Kind::Rank { .. } | Kind::Generate { .. } => Ok(()),
        Kind::Greedy { .. } => Err(Error::usage(format!(
            "`{}` asks whether the right text follows, and without labels there is none",
            benchmark.name
        ))
        .with_hint("take a task with choices or written answers, or `mode = \"labelled\"`")),
    }
}

/// Keeps answers in a file, which is there whole or not at all.
///
/// # Errors
/// When it can't be written.
pub fn write(path: &Path, answers: &[Answered]) -> Result<()> {
    let mut text = Vec::new();
    for answer in answers {
        serde_json::to_writer(&mut text, answer).expect("an answer is plain values");
        text.push(b'\n');
    }
    write_whole(path, &text)
}

/// The answers of a file; none where there is none.
///
/// # Errors
/// When it can't be read.
pub fn read(path: &Path) -> Result<Option<Vec<Answered>>> {
    let failed = || Error::input(format!("failed to read `{}`", path.display()));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed().because(e)),
    };
    let line = |line: &str| serde_json::from_str(line).map_err(|e| failed().because(e));
    text.lines().map(line).collect::<Result<_>>().map(Some)
}

/// The votes of several models on the same items: `by_model[model][item]`.
///
/// # Errors
/// When they were not asked the same.
pub fn votes(by_model: &[&[Answered]]) -> Result<Votes> {
    let first = by_model.first().copied().unwrap_or_default();
    let is_same = |answers: &&[Answered]| {
        answers.len() == first.len() && answers.iter().zip(first).all(|(a, b)| a.id == b.id)
    };
    if !by_model.iter().all(is_same) {
        return Err(Error::input("the models were not asked about the same items")
            .because("the rows of a task have changed between two runs")
            .with_hint("remove the files of answers in `runs/*/asked/`, and run the same command again"));
    }
    let mut votes = Votes::new(by_model.len());
    for item in 0..first.len() {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let said: Vec<Option<u32>> = by_model
            .iter()
            .map(|answers| {
                let said = answers[item].said.as_deref()?;
                if first[item].choices.is_some()
                    && let Ok(choice) = said.parse()
                {
                    return Some(choice);
                }
                let next = numbers.len() as u32;
                Some(*numbers.entry(said).or_insert(next))
            })
            .collect();
        votes.push(first[item].choices, &said);
    }
    Ok(votes)
}

/// Refuses labels that no model can be measured by.
///
/// # Errors
/// When there is none, or all are one choice of a fixed list.
pub fn check_labels(task: &str, answers: &[Answered]) -> Result<()> {
    let golds: Vec<&str> = answers.iter().filter_map(|answer| answer.gold.as_deref()).collect();
    if answers.iter().any(|answer| answer.worth.is_none()) {
        return Err(Error::usage(format!("the task `{task}` has items without a right answer"))
            .with_hint("take `mode = \"label-free\"`, or name a benchmark with labels"));
    }
    let is_one = golds.len() == answers.len() && golds.windows(2).all(|pair| pair[0] == pair[1]);
    if is_one && golds.len() > 1 && answers[0].choices.is_some() {
        return Err(Error::input(format!(
            "the task `{task}` has one class: of all its {} items the choice {} is right",
            golds.len(),
            golds[0]
        ))
        .because("a model that always says the same would be right without having learnt anything")
        .with_hint("rows of the other classes may stand later in the file: shuffle it, or raise `items`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, said: &str, gold: &str) -> Answered {
        Answered {
            id: id.to_owned(),
            choices: Some(3),
            said: Some(said.to_owned()),
            gold: Some(gold.to_owned()),
            worth: Some(f64::from(u8::from(said == gold))),
            loss: None,
        }
    }

    #[test]
    fn answers_come_back_from_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        assert_eq!(read(&path).unwrap(), None);
        let answers = vec![said("1", "0", "2"), Answered { choices: None, said: None, ..said("2", "", "x") }];
        write(&path, &answers).unwrap();
        assert_eq!(read(&path).unwrap(), Some(answers));
    }

    #[test]
    fn equal_answers_are_equal_votes() {
        let (a, b) = ([said("1", "2", "0"), said("2", "0", "0")], [said("1", "2", "0"), said("2", "1", "0")]);
        let found = votes(&[&a, &b, &a]).unwrap();
        let mut wanted = Votes::new(3);
        wanted.push(Some(3), &[Some(2), Some(2), Some(2)]);
        wanted.push(Some(3), &[Some(0), Some(1), Some(0)]);
        assert_eq!(found, wanted);
        let free = |answer: &str| [Answered { choices: None, ..said("1", answer, "x") }];
        let mut wanted = Votes::new(3);
        wanted.push(None, &[Some(0), Some(1), Some(0)]);
        assert_eq!(votes(&[&free("x"), &free("y"), &free("x")]).unwrap(), wanted);
        let error = votes(&[&a, &b[..1]]).unwrap_err();
        assert_eq!(error.to_string(), "the models were not asked about the same items");
    }

    #[test]
    fn one_class_is_explained() {
        let all = [said("1", "0", "1"), said("2", "1", "1")];
        insta::assert_snapshot!(check_labels("t", &all).unwrap_err(), @"the task `t` has one class: of all its 2 items the choice 1 is right");
        check_labels("t", &[said("1", "0", "1"), said("2", "1", "0")]).unwrap();
        let none = [Answered { worth: None, gold: None, ..said("1", "0", "0") }];
        insta::assert_snapshot!(check_labels("t", &none).unwrap_err(), @"the task `t` has items without a right answer");
    }

    #[test]
    fn the_loss_is_that_of_the_choices() {
        assert!((cross_entropy(&[1.0, 1.0], 0) - 2.0_f64.ln()).abs() < 1e-12);
        assert!((cross_entropy(&[0.0, 800.0], 1) - 800.0).abs() < 1e-9);
    }
}
