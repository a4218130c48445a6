//! What a transfer costs: said before it runs, counted while it does, and ended in order where it is too much.

use serde::Serialize;

use super::ask::{Asking, prompt_of};
use super::choose::Judge;
use super::pool::Drawn;
use super::{Task, prompt};
use crate::error::{Error, Result};

/// How many tokens a text has, as near as it can be said before a model is there.
pub type Count<'a> = &'a dyn Fn(&str) -> u64;

/// Four characters a token, as English text has with most tokenizers (spec/uit.md 8.6).
pub fn by_characters(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// The tokens that a definition is taken to have where no pair says how long one is: those of the published sample, whose
/// definitions have 272 characters in the mean (spec/uit.md 6.3).
const DEFINITION: u64 = 68;

/// What a million tokens cost, in whichever money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Prices {
    /// Of what is given to a model.
    pub input: f64,
    /// Of what it writes.
    pub output: f64,
}

impl Prices {
    /// Prices as they are typed: `INPUT,OUTPUT` for a million tokens each, such as `0.5,1.5`.
    ///
    /// # Errors
    /// When it isn't two numbers of 0 or more.
    pub fn parse(typed: &str) -> Result<Self> {
        let number =
            |text: &str| text.trim().parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
        let both = typed.split_once(',').and_then(|(input, output)| Some((number(input)?, number(output)?)));
        both.map(|(input, output)| Self { input, output }).ok_or_else(|| {
            Error::usage(format!("`{typed}` are no prices"))
                .with_hint("write what a million tokens cost, in and out: `0.5,1.5`")
        })
    }

    /// What so many tokens cost.
    pub fn of(&self, tokens_in: u64, tokens_out: u64) -> f64 {
        (self.input * tokens_in as f64 + self.output * tokens_out as f64) / 1e6
    }
}

/// What may be spent at the most; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Caps {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens in and out together.
    pub tokens: Option<u64>,
    /// Money, by the prices.
    pub money: Option<f64>,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Calls that were made; what the journal knew was none.
    pub calls: u64,
    /// Tokens that were given: as the model counted them, else by [`by_characters`].
    pub tokens_in: u64,
    /// Tokens that it wrote, likewise.
    pub tokens_out: u64,
}

impl Spent {
    fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            tokens_in: self.tokens_in + other.tokens_in,
            tokens_out: self.tokens_out + other.tokens_out,
        }
    }

    fn less(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            tokens_in: self.tokens_in.saturating_sub(other.tokens_in),
            tokens_out: self.tokens_out.saturating_sub(other.tokens_out),
        }
    }
}

/// What is spent, against what may be. Before a call the most that it can cost is held, so that no answer goes beyond
/// a cap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    caps: Caps,
    prices: Option<Prices>,
    spent: Spent,
    held: Spent,
}

impl Budget {
    /// A budget of which nothing is spent.
    ///
    /// # Errors
    /// When money is capped and nobody says what tokens cost.
    pub fn new(caps: Caps, prices: Option<Prices>) -> Result<Self> {
        if caps.money.is_some() && prices.is_none() {
            return Err(Error::usage("money is capped, and there are no prices")
                .with_hint("say with --prices what a million tokens cost, in and out: `--prices 0.5,1.5`"));
        }
        Ok(Self { caps, prices, ..Self::default() })
    }

    /// What was spent.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Its money, where there are prices.
    pub fn money(&self) -> Option<f64> {
        self.prices.map(|prices| prices.of(self.spent.tokens_in, self.spent.tokens_out))
    }

    /// Holds what a call costs at the most.
    ///
    /// # Errors
    /// Says which cap it would go beyond; nothing is held then.
    pub fn hold(&mut self, most: Spent) -> Result<(), String> {
        let all = self.spent.and(self.held).and(most);
        if let Some(cap) = self.caps.calls.filter(|cap| all.calls > *cap) {
            return Err(format!("the cap of {cap} calls is reached"));
        }
        let tokens = all.tokens_in + all.tokens_out;
        if let Some(cap) = self.caps.tokens.filter(|cap| tokens > *cap) {
            return Err(format!("the next call could go beyond the cap of {cap} tokens"));
        }
        if let (Some(cap), Some(prices)) = (self.caps.money, self.prices)
            && prices.of(all.tokens_in, all.tokens_out) > cap
        {
            return Err(format!("the next call could cost more than the cap of {cap}"));
        }
        self.held = self.held.and(most);
        Ok(())
    }

    /// Gives back what was held for a call, and counts what it cost.
    pub fn settle(&mut self, most: Spent, cost: Spent) {
        self.held = self.held.less(most);
        self.spent = self.spent.and(cost);
    }
}

/// What a transfer will take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Tasks that are asked about.
    pub tasks: u64,
    /// Calls: one a task, which all its candidates come from.
    pub calls: u64,
    /// Tokens that are given.
    pub tokens_in: u64,
    /// Tokens that come back, if definitions are as long as those of the pairs.
    pub tokens_out: u64,
    /// Tokens that come back if every candidate is as long as may be.
    pub tokens_out_most: u64,
    /// Texts that are scored.
    pub texts: u64,
    /// Their tokens.
    pub scored: u64,
    /// Those of them that are computed where a candidate's head is computed once for all rows.
    pub scored_shared: u64,
    /// What the calls cost; none without prices. Scoring costs no money where the scorer runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<f64>,
    /// What they cost at the most, before any is asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money_most: Option<f64>,
}

impl Estimate {
    /// What it takes to ask about these tasks, and to judge the candidates where there is a judge.
    pub fn of(
        tasks: &[Task],
        asking: &Asking<'_>,
        judge: Option<&Judge<'_>>,
        prices: Option<Prices>,
        count: Count<'_>,
    ) -> Self {
        let candidates = u64::from(asking.settings.candidates);
        let mut all = Self { tasks: tasks.len() as u64, calls: tasks.len() as u64, ..Self::default() };
        for task in tasks {
            let (input, shown) = prompt_of(task, asking);
            all.tokens_in += count(&input.text());
            let answers: Vec<u64> = shown.iter().map(|pair| count(&prompt::target(pair))).collect();
            let mean = match answers.is_empty() {
                true => DEFINITION,
                false => answers.iter().sum::<u64>() / answers.len() as u64,
            };
            all.tokens_out += candidates * mean;
            all.tokens_out_most += candidates * u64::from(asking.settings.sampling.max_tokens);
            let Some(judge) = judge else { continue };
            let drawn = Drawn::of(task, asking.settings.seed);
            // A definition of the usual length, and the prompt without one.
            let usual = "word ".repeat(DEFINITION as usize);
            for (definition, times) in [(Some(usual.as_str()), candidates), (None, 1)] {
                let texts = judge.texts(task, &drawn, definition);
                let whole: Vec<String> =
                    texts.iter().map(|text| text.prompt.clone() + &text.completion).collect();
                let tokens: u64 = whole.iter().map(|text| count(text)).sum();
                let head = count(common_head(&whole));
                all.texts += times * texts.len() as u64;
                all.scored += times * tokens;
                all.scored_shared +=
                    times * (tokens - head * (texts.len() as u64).saturating_sub(1)).min(tokens);
            }
        }
        all.money = prices.map(|prices| prices.of(all.tokens_in, all.tokens_out));
        all.money_most = prices.map(|prices| prices.of(all.tokens_in, all.tokens_out_most));
        all
    }
}

/// What all texts begin with.
fn common_head(texts: &[String]) -> &str {
    let Some((first, rest)) = texts.split_first() else { return "" };
    let mut end = first.len();
    for text in rest {
        end = first.bytes().zip(text.bytes()).take(end).take_while(|(a, b)| a == b).count();
    }
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    &first[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_two_numbers() {
        assert_eq!(Prices::parse("0.5, 2").unwrap(), Prices { input: 0.5, output: 2.0 });
        assert!((Prices { input: 0.5, output: 2.0 }.of(1_000_000, 250_000) - 1.0).abs() < 1e-12);
        for typed in ["", "1", "1,x", "-1,2", "1,inf"] {
            assert!(Prices::parse(typed).is_err(), "{typed}");
        }
        assert!(Budget::new(Caps { money: Some(1.0), ..Caps::default() }, None).is_err());
    }

    #[test]
    fn what_is_held_counts_and_what_is_settled_is_what_it_cost() {
        let caps = Caps { calls: Some(3), tokens: Some(1_000), money: None };
        let mut budget = Budget::new(caps, Some(Prices { input: 1.0, output: 10.0 })).unwrap();
        let most = Spent { calls: 1, tokens_in: 100, tokens_out: 500 };
        budget.hold(most).unwrap();
        let error = budget.hold(most).unwrap_err();
        assert!(error.contains("1000 tokens"), "{error}");
        budget.settle(most, Spent { calls: 1, tokens_in: 90, tokens_out: 50 });
        assert_eq!(budget.spent(), Spent { calls: 1, tokens_in: 90, tokens_out: 50 });
        assert!((budget.money().unwrap() - 590e-6).abs() < 1e-15);
        let small = Spent { calls: 1, tokens_in: 10, tokens_out: 10 };
        budget.hold(small).unwrap();
        budget.hold(small).unwrap();
        assert!(budget.hold(small).unwrap_err().contains("3 calls"));
        let dear = Caps { money: Some(0.001), ..Caps::default() };
        let mut budget = Budget::new(dear, Some(Prices { input: 1.0, output: 10.0 })).unwrap();
        assert!(
            budget.hold(Spent { calls: 1, tokens_in: 1_000, tokens_out: 1 }).unwrap_err().contains("0.001")
        );
    }

    #[test]
    fn a_head_ends_between_characters() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(common_head(&texts(&["abcé", "abcè", "abcx"])), "abc");
        assert_eq!(common_head(&texts(&["ab", "abc"])), "ab");
        assert_eq!(common_head(&[]), "");
    }
}
