//! Benchmarks: what a model is asked, how its answers are judged, and what they are worth.
//!
//! A [`Benchmark`] is a YAML file, the user's or one of those that are [built in](built_in). Its rows come from
//! files ([`data`]); each row under each of its prompts is an [`item`], which a model is asked ([`run`]); of the answers
//! come the numbers of a [`report`].
//!
//! ```yaml
//! name: clauses
//! prompts:
//!   - name: plain
//!     prompt: "Clause: {{ text }}\nWhat is it about?"
//! choices: [rent, repairs, access]
//! answer: "{{ topic }}"
//! rank: {by: sum}
//! metrics: [accuracy, macro_f1]
//! ```
//!
//! | key | means |
//! |---|---|
//! | `name`, `about`, `source` | what it is called and is; whose wording and scoring it has |
//! | `data` | how rows are read: a list of shapes, of which the first is taken that the rows fit, each with `files` (patterns below a folder), `hub` (a dataset whose cached snapshot is looked into), `each`, `match` and `fields` as in an [adapter](crate::source::adapter), and `derive`, fields that Jinja makes of these; without it rows are taken as they are |
//! | `cook` | rows made by a template of [`cook`](crate::cook) instead: `template`, `script`, `set`, `wording`, `words`, `pool_words`, `rows`, `seed`; `prompts`, `references` and `metrics` then need not be said |
//! | `prepare` | a step of code over each row: `hellaswag`, `super_ni` |
//! | `constants` | fields that every row has |
//! | `prompts` | a list of `name` and `prompt`, Jinja over the row's fields; or `contexts`, several of them before one `completion` |
//! | `choices` | the possible answers: a list of Jinja, or the name of a field that holds a list |
//! | `gold`, `answer` | which of them is right: Jinja for its number from 0, or for its text |
//! | `references` | of a generated answer: the name of the field that holds the right one, or a list of them |
//! | `rank` | the likeliest choice is the answer: `by: sum` or `characters`, `eos`, `apart`, `delimiter` before the choice |
//! | `generate` | the answer is generated greedily: `max_tokens`, `stop`, `compare: best` or `first` of the references |
//! | `greedy` | the answer is right if greedy decoding gives `completion` |
//! | `wrap` | what stands around each prompt: `none`, `simple`, `tagged`, `inst`, or a text with `{prompt}` |
//! | `strip` | whether prompts and choices lose the blanks at their ends: `true` unless said otherwise |
//! | `rules` | what following a rule of `cook`'s templates would be, as [`alignment`] says |
//! | `unlabelled` | `true` where rows don't say what is right: for `mix --learn`, which can do without |
//! | `metrics` | `accuracy`, `acc_norm`, `macro_f1`, `weighted_f1`, `squad_em`, `squad_f1`, `exact_match`, `rouge_l`, `verified`, `perplexity`; the first is the headline |
//! | `group` | Jinja for the group of a row, whose means are given, too |
//!
//! `choices`, `gold`, `answer`, `references` and `completion` stand beside `prompts`, or in one prompt for it alone.

pub mod alignment;
pub mod built_in;
mod cooked;
pub mod data;
pub mod item;
mod prepare;
pub mod report;
pub mod run;
mod spec;
#[cfg(test)]
mod tests;
mod wrap;

pub use spec::{Benchmark, By, Compare, Kind, Metric};
pub use wrap::Wrap;
