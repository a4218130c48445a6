//! Asking a model what a benchmark asks.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use serde::Serialize;

use super::item::{Ask, Item};
use super::spec::{Benchmark, Kind};
use super::wrap::Wrap;
use crate::error::Result;
use crate::journal::{self, Journal};
use crate::lm::score::TEXTS;
use crate::lm::{Constraint, Input, LanguageModel, Next, Outcome, Request, Sampling, Scored, Scoring};
use crate::metrics::choice;
use crate::record::Row;
use crate::reject::Reject;

/// How a benchmark is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What stands around prompts.
    pub wrap: Wrap,
    /// Prompt and choice are encoded together and no end of text is scored, whatever the benchmark says.
    pub together: bool,
    /// Choices are not scored: the model writes an answer, which is right if it is the right choice's text.
    pub in_words: bool,
    /// The model can write nothing but one of the choices, where it writes.
    pub constrain: bool,
    /// The most rows that are asked about.
    pub limit: u64,
}

/// What a model said to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question.
    pub item: Item,
    /// Which row it is about, from 0.
    pub row: usize,
    /// What was said.
    pub said: Said,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// How likely each choice is.
    Likely {
        /// Sums of negative log-likelihoods, in nats.
        nlls: Vec<f64>,
        /// The number of the choice with the least.
        by_sum: usize,
        /// The number of that with the least a character.
        by_characters: usize,
    },
    /// How likely the completion is.
    Completed {
        /// The negative log-likelihood in nats.
        nll: f64,
        /// Whether greedy decoding gives it.
        is_greedy: bool,
    },
    /// A text.
    Words {
        /// The text, stripped.
        answer: String,
        /// Whether it was cut off.
        truncated: bool,
    },
    /// Nothing, and why.
    Nothing(String),
}

/// What went in and didn't come out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    /// Rows that were asked about.
    pub items: u64,
    /// Rows that were not, by reason.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Questions that the model refused to answer; they count as answered wrongly.
    pub refused: u64,
    /// Why the first of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_why: Option<String>,
    /// Questions that failed; asking again later may help.
    pub failed: u64,
    /// Questions longer than the model's window, of which it saw the end only.
    pub beyond_window: u64,
}

impl Account {
    fn refuse(&mut self, why: String) -> Said {
        self.refused += 1;
        self.refused_why.get_or_insert_with(|| why.clone());
        Said::Nothing(why)
    }
}

/// Asks about rows, and hands each answer to `take` in the order of rows and prompts. Whether all were asked; otherwise
/// `watch` broke off, which it is asked after each batch.
///
/// # Errors
/// When the model can't be used, or `take` fails.
pub fn ask(
    benchmark: &Benchmark,
    settings: &Settings,
    rows: impl Iterator<Item = Result<Row, Reject>>,
    model: &dyn LanguageModel,
    journal: Option<&Journal>,
    take: &mut dyn FnMut(Answer) -> Result<()>,
    watch: &mut dyn FnMut(&Account) -> ControlFlow<()>,
) -> Result<(Account, bool)> {
    let mut account = Account::default();
    let asking = Asking { benchmark, settings, model, journal };
    let batch_rows = (TEXTS / benchmark.prompts.len().max(1)).max(1);
    let mut rows = rows.peekable();
    while rows.peek().is_some() && account.items < settings.limit {
        let mut items: Vec<(usize, Item)> = Vec::new();
        let mut batch = 0;
        while batch < batch_rows && account.items < settings.limit {
            let Some(row) = rows.next() else { break };
            match row.and_then(|row| benchmark.items(&row, &settings.wrap)) {
                Ok(asked) => {
                    let number = account.items as usize;
                    items.extend(asked.into_iter().map(|item| (number, item)));
                    account.items += 1;
                    batch += 1;
                }
                Err(reject) => *account.rejects.entry(reject.reason.word()).or_default() += 1,
            }
        }
        let said = asking.all(&items, &mut account)?;
        for ((row, item), said) in items.into_iter().zip(said) {
            take(Answer { item, row, said })?;
        }
        if watch(&account).is_break() {
            let whole = rows.peek().is_none() || account.items >= settings.limit;
            return Ok((account, whole));
        }
    }
    Ok((account, true))
}

struct Asking<'a> {
    benchmark: &'a Benchmark,
    settings: &'a Settings,
    model: &'a dyn LanguageModel,
    journal: Option<&'a Journal>,
}

impl Asking<'_> {
    fn all(&self, items: &[(usize, Item)], account: &mut Account) -> Result<Vec<Said>> {
        match &self.benchmark.kind {
            Kind::Generate { .. } => self.written(items, account),
            Kind::Rank { .. } | Kind::Greedy { .. } if self.settings.in_words => self.written(items, account),
            Kind::Rank { .. } | Kind::Greedy { .. } => self.scored(items, account),
        }
    }

    fn scored(&self, items: &[(usize, Item)], account: &mut Account) -> Result<Vec<Said>> {
        let texts: Vec<Vec<Scored>> = items.iter().map(|(_, item)| self.texts(&item.ask)).collect();
        let flat: Vec<Scored> = texts.iter().flatten().cloned().collect();
        let mut scored = Vec::with_capacity(flat.len());
        for batch in flat.chunks(TEXTS) {
            scored.extend(journal::scores(self.model, self.journal, batch)?);
        }
        let mut scored = scored.into_iter();
        Ok(items
            .iter()
            .zip(&texts)
            .map(|((_, item), texts)| {
                let of_item: Vec<Scoring> = scored.by_ref().take(texts.len()).collect();
                said(item, &of_item, account)
            })
            .collect())
    }

    /// What is scored to answer a question.
    fn texts(&self, ask: &Ask) -> Vec<Scored> {
        let (eos, apart, delimiter) = match &self.benchmark.kind {
            Kind::Rank { eos, apart, delimiter, .. } if !self.settings.together => {
                (*eos, *apart, delimiter.as_str())
            }
            // What was made to be encoded apart has no delimiter of its own.
            Kind::Rank { apart: true, .. } => (false, false, " "),
            Kind::Rank { delimiter, .. } | Kind::Greedy { delimiter } => (false, false, delimiter.as_str()),
            Kind::Generate { .. } => return Vec::new(),
        };
        let text = |head: &str, tail: &str| {
            if apart {
                let completion = tail.trim().to_owned();
                return Scored { prompt: head.to_owned(), completion, eos, apart };
            }
            together(head, &format!("{delimiter}{tail}"), eos)
        };
        match ask {
            Ask::Choice { heads, tails, .. } => {
                heads.iter().zip(tails).map(|(head, tail)| text(head, tail)).collect()
            }
            Ask::Completion { prompt, completion } => vec![text(prompt, completion)],
            Ask::Text { .. } => Vec::new(),
        }
    }

    fn written(&self, items: &[(usize, Item)], account: &mut Account) -> Result<Vec<Said>> {
        let (max_tokens, stop) = match &self.benchmark.kind {
            Kind::Generate { max_tokens, stop, .. } => (*max_tokens, stop.clone()),
            Kind::Rank { .. } | Kind::Greedy { .. } => (32, Vec::new()),
        };
        let sampling = Sampling { temperature: 0.0, top_p: 1.0, max_tokens, stop, ..Sampling::default() };
        let mut requests = items.iter().enumerate().map(|(id, (_, item))| Request {
            id: id as u64,
            input: Input::Prompt(item.ask.prompt()),
            sampling: sampling.clone(),
            seed: 0,
            samples: vec![0],
            constraint: match &item.ask {
                Ask::Choice { choices, .. } if self.settings.constrain => {
                    Constraint::Choice(choices.clone().into())
                }
                _ => Constraint::Free,
            },
        });
        let mut session = journal::session(self.model, self.journal)?;
        let mut said: HashMap<u64, Said> = HashMap::with_capacity(items.len());
        let mut next = requests.next();
        while said.len() < items.len() {
            while session.room() > 0
                && let Some(request) = next.take()
            {
                session.submit(vec![request]);
                next = requests.next();
            }
            if let Next::Event(event) = session.next()? {
                said.insert(event.request, in_words(event.outcome, account));
            }
        }
        Ok((0..items.len() as u64).map(|id| said.remove(&id).expect("every question ended")).collect())
    }
}

/// Prompt and completion encoded together. Blanks at the prompt's end become the completion's, as in
/// lm-evaluation-harness (`_encode_pair`).
fn together(prompt: &str, completion: &str, eos: bool) -> Scored {
    let head = prompt.trim_end();
    let completion = format!("{}{completion}", &prompt[head.len()..]);
    Scored { prompt: head.to_owned(), completion, eos, apart: false }
}

fn in_words(outcome: Outcome, account: &mut Account) -> Said {
    match outcome {
        Outcome::Text(text) => Said::Words { answer: text.text.trim().to_owned(), truncated: text.truncated },
        Outcome::Declined => account.refuse("the model has nothing to say".into()),
        Outcome::Refused(why) => account.refuse(why),
        Outcome::Failed(why) => {
            account.failed += 1;
            Said::Nothing(why)
        }
    }
}

/// What the scores of a question's texts say.
fn said(item: &Item, scored: &[Scoring], account: &mut Account) -> Said {
    let mut nlls = Vec::with_capacity(scored.len());
    let mut is_greedy = Some(true);
    let mut is_whole = true;
    for scoring in scored {
        match scoring {
            Scoring::Score(score) => {
                nlls.push(score.nll);
                is_greedy = is_greedy.zip(score.greedy).map(|(all, this)| all && this);
                is_whole &= score.whole;
            }
            Scoring::Refused(why) => return account.refuse(why.clone()),
            Scoring::Failed(why) => {
                account.failed += 1;
                return Said::Nothing(why.clone());
            }
        }
    }
    account.beyond_window += u64::from(!is_whole);
    match &item.ask {
        Ask::Choice { choices, .. } => match (choice::by_sum(&nlls), choice::by_characters(&nlls, choices)) {
            (Some(by_sum), Some(by_characters)) => Said::Likely { nlls, by_sum, by_characters },
            _ => Said::Nothing("there is no choice".into()),
        },
        _ => match is_greedy {
            Some(is_greedy) => Said::Completed { nll: nlls.iter().sum(), is_greedy },
            None => account.refuse("the server doesn't say which tokens are the likeliest".into()),
        },
    }
}
