//! What could be guessed without the rule: shares and baselines of a stream, so that a shortcut is seen.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::stream::{Sample, Stream, Tally};

/// Parts that an input is cut into to see where answers stand.
const PARTS: usize = 10;

/// What of a stream's samples can be seen without following the rule. Shares are parts of 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The template's name.
    pub template: String,
    /// The settings of the first and the last sample looked at, as a user would write them.
    pub settings: [String; 2],
    /// What was drawn for these samples.
    pub tally: Tally,
    /// Characters of prompts and of completions.
    pub characters: [u64; 2],
    /// How often each completion comes, the most frequent first, five at the most.
    pub completions: Vec<(String, f64)>,
    /// How often the right option or class stands at each place; for yes and no, no is first.
    pub choices: Vec<f64>,
    /// In which tenth of the input the answer stands.
    pub places: Vec<f64>,
    /// What is right by these means alone.
    pub baselines: Vec<Baseline>,
    /// Different completions.
    pub different: u64,
}

/// An answer that follows no rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// What it does.
    pub name: &'static str,
    /// How often it is right.
    pub right: f64,
    /// How often one is right that guesses blindly.
    pub chance: f64,
}

impl Baseline {
    /// Whether it is right more often than can be by chance: by more than four standard errors and one in a hundred.
    pub fn is_shortcut(&self, samples: u64) -> bool {
        let error = (self.chance * (1.0 - self.chance) / samples.max(1) as f64).sqrt();
        self.right > self.chance + 0.01 + 4.0 * error
    }
}

/// Counts on the way to a [`Report`].
#[derive(Default)]
struct Counts {
    completions: BTreeMap<String, u64>,
    choices: Vec<u64>,
    places: [u64; PARTS],
    placed: u64,
    /// The sum of 1 / options.
    chance: f64,
    chosen: u64,
    /// How often the longest and the shortest option is the right one; several that are as long share it.
    longest: f64,
    shortest: f64,
    with_options: u64,
}

impl Stream {
    /// Looks at the first `samples` samples; those that can't be made are counted and left out.
    pub fn report(&self, samples: u64) -> Report {
        let (mut sample, mut counts) = (Sample::default(), Counts::default());
        let mut characters = [0, 0];
        for index in 0..samples {
            if self.fill(index, &mut sample).is_err() {
                continue;
            }
            characters[0] += sample.prompt().chars().count() as u64;
            characters[1] += sample.completion().chars().count() as u64;
            counts.add(self, &sample);
        }
        let plan = self.plan();
        let tally = sample.tally();
        let mut completions: Vec<(String, u64)> = counts.completions.into_iter().collect();
        completions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let share = |part: f64, whole: u64| part / whole.max(1) as f64;
        let different = completions.len() as u64;
        let mut baselines = Vec::new();
        let chance = share(counts.chance, counts.chosen);
        if counts.chosen > 0 {
            let most = counts.choices.iter().max().copied().unwrap_or_default();
            baselines.push(Baseline {
                name: "most frequent place",
                right: share(most as f64, counts.chosen),
                chance,
            });
            let first = counts.choices.first().copied().unwrap_or_default();
            baselines.push(Baseline { name: "first", right: share(first as f64, counts.chosen), chance });
        }
        if counts.with_options > 0 {
            for (name, right) in [("longest option", counts.longest), ("shortest option", counts.shortest)] {
                baselines.push(Baseline { name, right: share(right, counts.with_options), chance });
            }
        }
        if let Some((_, most)) = completions.first() {
            // Where answers are texts of their own, there is nothing that a blind guess could hit.
            let chance = if different <= counts.choices.len() as u64 { chance } else { 0.0 };
            baselines.push(Baseline {
                name: "most frequent completion",
                right: share(*most as f64, tally.samples),
                chance: chance.max(1.0 / different.max(1) as f64),
            });
        }
        Report {
            template: plan.template.name().to_owned(),
            settings: [0, samples.saturating_sub(1)].map(|index| self.settings(index).to_string()),
            tally,
            characters,
            completions: completions
                .into_iter()
                .take(5)
                .map(|(text, times)| (text, share(times as f64, tally.samples)))
                .collect(),
            choices: counts.choices.iter().map(|times| share(*times as f64, counts.chosen)).collect(),
            places: match counts.placed {
                0 => Vec::new(),
                placed => counts.places.iter().map(|times| share(*times as f64, placed)).collect(),
            },
            baselines,
            different,
        }
    }
}

impl Counts {
    fn add(&mut self, stream: &Stream, sample: &Sample) {
        *self.completions.entry(sample.completion().trim().to_owned()).or_default() += 1;
        let facts = sample.facts();
        if let Some((at, of)) = facts.place
            && of > 0
        {
            self.places[(at as usize * PARTS / of as usize).min(PARTS - 1)] += 1;
            self.placed += 1;
        }
        let Some((gold, of)) = facts.choice else { return };
        let gold = gold as usize;
        if self.choices.len() <= gold {
            self.choices.resize(gold + 1, 0);
        }
        self.choices[gold] += 1;
        self.chosen += 1;
        self.chance += 1.0 / f64::from(of);
        let lens: Vec<usize> = stream.options(sample).iter().map(|option| option.chars().count()).collect();
        let Some(len) = lens.get(gold) else { return };
        let hit = |best: Option<&usize>| match best {
            Some(best) if best == len => 1.0 / lens.iter().filter(|one| *one == best).count() as f64,
            _ => 0.0,
        };
        self.longest += hit(lens.iter().max());
        self.shortest += hit(lens.iter().min());
        self.with_options += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |shares: &[f64]| {
            shares.iter().map(|share| format!("{:.1}", share * 100.0)).collect::<Vec<_>>().join(" ")
        };
        let Tally { samples, ambiguous, elsewhere, exhausted } = self.tally;
        writeln!(f, "{}: {samples} samples", self.template)?;
        writeln!(
            f,
            "  drawn anew: {ambiguous} ambiguous, {elsewhere} of other splits; given up: {exhausted}"
        )?;
        let mean = |characters: u64| characters as f64 / samples.max(1) as f64;
        let [prompts, completions] = self.characters;
        writeln!(f, "  characters: {:.0} of prompt, {:.0} of completion", mean(prompts), mean(completions))?;
        writeln!(f, "  different completions: {}", self.different)?;
        if !self.choices.is_empty() {
            writeln!(f, "  places of the right choice, %: {}", percent(&self.choices))?;
        }
        if !self.places.is_empty() {
            writeln!(f, "  tenths of the input where the answer is, %: {}", percent(&self.places))?;
        }
        for baseline in &self.baselines {
            let mark = if baseline.is_shortcut(samples) { "  <- a shortcut" } else { "" };
            let (right, chance) = (baseline.right * 100.0, baseline.chance * 100.0);
            writeln!(f, "  {}: {right:.1} % right, by chance {chance:.1} %{mark}", baseline.name)?;
        }
        Ok(())
    }
}
