//! The operations of templates (spec/cookbook.md 1.4) as functions of scripts.
//!
//! `choice` draws from the steady chance of a sample, which is the same in every attempt at it, so that no class becomes
//! rarer by being redrawn; all others draw anew.

use std::collections::HashMap;

use super::ast::Operator;
use super::builtins::Given;
use super::eval::Machine;
use super::heap::{Run, Value};
use super::{Fault, Place};
use crate::cook::draw::Draw;
use crate::cook::ops;

impl<'a> Machine<'a> {
    /// The chance of the sample.
    pub(super) fn chance(&mut self, place: Place) -> Run<&mut Draw> {
        match &mut self.heap.chance {
            Some(draw) => Ok(draw),
            None => Err(Fault::new(place, "chance is drawn in `make` alone")
                .with_hint("`solve` and `check` must come to the same result whenever they are asked")
                .into()),
        }
    }

    /// A number of things.
    pub(super) fn count_of(&self, value: Value, place: Place) -> Run<usize> {
        match value {
            Value::Int(number) => usize::try_from(number).map_err(|_| {
                Fault::new(place, format!("this should be a number from 0, and is {number}")).into()
            }),
            other => Err(self.heap.wrong("a number", other, place)),
        }
    }

    fn drawn_from(&self, number: i64, place: Place) -> Run<u32> {
        u32::try_from(number)
            .map_err(|_| Fault::new(place, format!("{number} is not between 0 and {}", u32::MAX)).into())
    }

    /// Lists as lists of numbers, which are equal where the values are.
    fn numbers<const N: usize>(&mut self, lists: [&[Value]; N], place: Place) -> Run<[Vec<u32>; N]> {
        let mut found = lists.map(|list| Vec::with_capacity(list.len()));
        let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
        let is_words = lists.iter().all(|list| list.iter().all(|item| matches!(item, Value::Token(_))));
        for (list, found) in lists.into_iter().zip(&mut found) {
            self.heap.elements(list.len(), place)?;
            for item in list {
                found.push(match item {
                    Value::Token(token) if is_words => *token,
                    item => {
                        let key = self.heap.key(*item, place)?;
                        let next = known.len() as u32;
                        *known.entry(key).or_insert(next)
                    }
                });
            }
        }
        Ok(found)
    }
}

/// `sample(n, distinct = False, without = [])`: words of the pool; those of `without` not among them.
pub(super) fn sample<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [n, distinct, without] = given.take("sample", ["n", "distinct", "without"], 1)?;
    let n = machine.count_of(n, place)?;
    machine.heap.elements(n, place)?;
    let mut tokens = Vec::new();
    if let Value::Unset | Value::None = without {
    } else {
        for item in machine.heap.all(without, place)? {
            match item {
                Value::Token(token) => tokens.push(token),
                // Marks are never drawn.
                Value::Str(_) | Value::Int(_) => {}
                other => return Err(machine.heap.wrong("a word", other, place)),
            }
        }
    }
    let (size, from) = (machine.heap.words, tokens.len());
    if machine.heap.is_true(distinct) || from > 0 {
        if n + from > size as usize {
            return Err(Fault::new(place, format!("{} different words of a pool of {size}", n + from))
                .with_hint("ask for less, or take a larger pool: `--pool-words N`")
                .into());
        }
        machine.heap.spend((n + from).saturating_mul(n) / 16, place)?;
        ops::sample_distinct(&mut machine.chance(place)?.free, size, n, 0, &mut tokens);
    } else {
        ops::sample(&mut machine.chance(place)?.free, size, n, &mut tokens);
    }
    machine.heap.tokens(&tokens[from..], place)
}

/// `span(list, len)`: a part of it, and where it begins.
pub(super) fn span<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, len] = given.take("span", ["list", "len"], 2)?;
    let all = machine.heap.all(list, place)?;
    let len = machine.count_of(len, place)?;
    if len > all.len() {
        return Err(Fault::new(place, format!("a span of {len} in a list of {}", all.len()))
            .with_hint("a `check` function can refuse such settings before anything is made")
            .into());
    }
    let start = ops::span(&mut machine.chance(place)?.free, all.len(), len);
    let part = machine.heap.list(all[start..start + len].to_vec(), place)?;
    machine.heap.tuple(vec![part, Value::Int(start as i64)], place)
}

/// `window(list, start, len, left, right)`: what stands around a span.
pub(super) fn window<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, start, len, left, right] =
        given.take("window", ["list", "start", "len", "left", "right"], 5)?;
    let all = machine.heap.all(list, place)?;
    let mut numbers = [0; 4];
    for (number, value) in numbers.iter_mut().zip([start, len, left, right]) {
        *number = machine.count_of(value, place)?;
    }
    let [start, len, left, right] = numbers;
    let (before, after) = ops::window(all.len(), start, len, left, right);
    machine.heap.list([&all[before], &all[after]].concat(), place)
}

pub(super) fn shuffle<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [list] = given.take("shuffle", ["list"], 1)?;
    let mut all = machine.heap.all(list, given.place)?;
    machine.heap.spend(all.len(), given.place)?;
    ops::shuffle(&mut machine.chance(given.place)?.free, &mut all);
    machine.heap.list(all, given.place)
}

/// `replace(list, n)`: `n` of its words by others; `replace(list, 0.15)`: each with this probability.
pub(super) fn replace<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, how] = given.take("replace", ["list", "how_many"], 2)?;
    let mut all = machine.heap.all(list, place)?;
    machine.heap.spend(all.len(), place)?;
    let size = machine.heap.words;
    match how {
        Value::Share(millionths) => {
            let rng = &mut machine.chance(place)?.free;
            for item in &mut all {
                if rng.chance(millionths) {
                    *item = Value::Token(rng.below(size));
                }
            }
        }
        how => {
            let n = machine.count_of(how, place)?;
            let rng = &mut machine.chance(place)?.free;
            let places: Vec<u32> = (0..all.len() as u32).collect();
            let mut picked = Vec::new();
            ops::pick(rng, &places, n, &mut picked);
            for at in picked {
                all[at as usize] = Value::Token(rng.below(size));
            }
        }
    }
    machine.heap.list(all, place)
}

/// `drop(list, 0.15)`: without each with this probability.
pub(super) fn drop<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, share] = given.take("drop", ["list", "share"], 2)?;
    let mut all = machine.heap.all(list, place)?;
    machine.heap.spend(all.len(), place)?;
    let Value::Share(millionths) = share else {
        return Err(machine.heap.wrong("a share such as 0.15", share, place));
    };
    let rng = &mut machine.chance(place)?.free;
    all.retain(|_| !rng.chance(millionths));
    machine.heap.list(all, place)
}

/// `insert(list, items, at = None)`: with `items` before a place, or at one drawn at random.
pub(super) fn insert<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, items, at] = given.take("insert", ["list", "items", "at"], 2)?;
    let mut all = machine.heap.all(list, place)?;
    let items = machine.heap.all(items, place)?;
    let at = match at {
        Value::Unset | Value::None => {
            let most = all.len() as u32;
            machine.chance(place)?.free.between(0, most) as usize
        }
        at => machine.count_of(at, place)?.min(all.len()),
    };
    all.splice(at..at, items);
    machine.heap.list(all, place)
}

/// `concat(lists, sep = None)`.
pub(super) fn concat<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [lists, separator] = given.take("concat", ["lists", "sep"], 1)?;
    let mut joined = Vec::new();
    for (at, list) in machine.heap.all(lists, place)?.into_iter().enumerate() {
        let items = machine.heap.all(list, place)?;
        if at > 0 && !matches!(separator, Value::Unset | Value::None) {
            joined.push(separator);
        }
        joined.extend(items);
    }
    machine.heap.list(joined, place)
}

/// `pick(list, n, distinct = True)`: at `n` different places, in their order; else any `n`.
pub(super) fn pick<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, n, distinct] = given.take("pick", ["list", "n", "distinct"], 2)?;
    let all = machine.heap.all(list, place)?;
    let n = machine.count_of(n, place)?;
    machine.heap.spend(all.len(), place)?;
    let mut picked = Vec::new();
    if matches!(distinct, Value::Unset) || machine.heap.is_true(distinct) {
        if n > all.len() {
            return Err(Fault::new(place, format!("{n} different ones of a list of {}", all.len()))
                .with_hint("`distinct = False` picks some more than once")
                .into());
        }
        let places: Vec<u32> = (0..all.len() as u32).collect();
        ops::pick(&mut machine.chance(place)?.free, &places, n, &mut picked);
    } else {
        if all.is_empty() && n > 0 {
            return Err(Fault::new(place, "nothing can be picked from an empty list").into());
        }
        machine.heap.elements(n, place)?;
        machine.chance(place)?.free.fill(all.len() as u32, n, &mut picked);
    }
    machine.heap.list(picked.into_iter().map(|at| all[at as usize]).collect(), place)
}

/// A list, or a list of the one thing that is given.
fn part<'a>(machine: &mut Machine<'a>, value: Value, place: Place) -> Run<Vec<Value>> {
    match machine.heap.items(value) {
        Some(_) => machine.heap.all(value, place),
        None => Ok(vec![value]),
    }
}

/// `index_of(list, part)`: where it begins for the first time, or None.
pub(super) fn index_of<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, what] = given.take("index_of", ["list", "part"], 2)?;
    let (all, what) = (machine.heap.all(list, place)?, part(machine, what, place)?);
    machine.heap.spend(all.len(), place)?;
    let [all, what] = machine.numbers([&all, &what], place)?;
    Ok(ops::index_of(&all, &what).map_or(Value::None, |at| Value::Int(at as i64)))
}

/// `count(list, part)`: how often it begins there.
pub(super) fn count<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, what] = given.take("count", ["list", "part"], 2)?;
    let (all, what) = (machine.heap.all(list, place)?, part(machine, what, place)?);
    machine.heap.spend(all.len(), place)?;
    let [all, what] = machine.numbers([&all, &what], place)?;
    Ok(Value::Int(ops::occurrences(&all, &what) as i64))
}

/// `overlap(a, b, distinct = False)`: how many they have in common.
pub(super) fn overlap<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [a, b, distinct] = given.take("overlap", ["a", "b", "distinct"], 2)?;
    let (a, b) = (machine.heap.all(a, place)?, machine.heap.all(b, place)?);
    let work = (a.len() + b.len()).saturating_mul(a.len().min(b.len())) / 8;
    machine.heap.spend(work, place)?;
    let is_set = machine.heap.is_true(distinct);
    let [a, b] = machine.numbers([&a, &b], place)?;
    let shared = if is_set { ops::overlap_set(&a, &b) } else { ops::overlap(&a, &b) };
    Ok(Value::Int(shared as i64))
}

/// `argmax(numbers)`: the place of the largest, or None where there are two.
pub(super) fn argmax<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    extreme(machine, given, Operator::Greater)
}

/// `argmin(numbers)`: the place of the smallest, or None where there are two.
pub(super) fn argmin<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    extreme(machine, given, Operator::Less)
}

fn extreme<'a>(machine: &mut Machine<'a>, given: Given<'a>, wanted: Operator) -> Run<Value> {
    let place = given.place;
    let [list] = given.take(if wanted == Operator::Less { "argmin" } else { "argmax" }, ["numbers"], 1)?;
    let mut best: Option<(usize, Value, bool)> = None;
    for (at, item) in machine.heap.all(list, place)?.into_iter().enumerate() {
        best = match best {
            None => Some((at, item, true)),
            Some((first, most, is_alone)) => match machine.combine(wanted, item, most, place)? {
                Value::Bool(true) => Some((at, item, true)),
                _ => Some((first, most, is_alone && !machine.heap.equal(item, most, place)?)),
            },
        };
    }
    Ok(match best {
        Some((at, _, true)) => Value::Int(at as i64),
        _ => Value::None,
    })
}

/// `compare(x, "<", y)`.
pub(super) fn compare<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [a, sign, b] = given.take("compare", ["x", "op", "y"], 3)?;
    let operator = machine.heap.str(sign).and_then(Operator::of).filter(|operator| {
        use Operator::{AtLeast, AtMost, Differs, Equal, Greater, Less};
        matches!(operator, Equal | Differs | Less | AtMost | Greater | AtLeast)
    });
    match operator {
        Some(operator) => machine.combine(operator, a, b, given.place),
        None => Err(Fault::new(given.place, "there is no such comparison")
            .with_hint("there are \"==\", \"!=\", \"<\", \"<=\", \">\" and \">=\"")
            .into()),
    }
}

/// `int(lo, hi)`: a number from `lo` to `hi`; `int("12")`: the number that a text is, or None.
pub(super) fn int<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [lo, hi] = given.take("int", ["lo", "hi"], 1)?;
    match (lo, hi) {
        (Value::Int(lo), Value::Int(hi)) => {
            if lo > hi {
                return Err(Fault::new(place, format!("no number is from {lo} to {hi}")).into());
            }
            let width = machine.drawn_from(hi.saturating_sub(lo), place)?;
            Ok(Value::Int(lo + i64::from(machine.chance(place)?.free.between(0, width))))
        }
        (Value::Int(_) | Value::Bool(_), Value::Unset) => match lo {
            Value::Bool(is) => Ok(Value::Int(is.into())),
            number => Ok(number),
        },
        (Value::Str(_), Value::Unset) => {
            let number = machine.heap.str(lo).and_then(|text| text.parse().ok());
            Ok(number.map_or(Value::None, Value::Int))
        }
        (Value::Int(_), other) | (other, _) => Err(machine.heap.wrong("a number", other, place)),
    }
}

/// `chance(0.15)`: True with this probability.
pub(super) fn chance<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [share] = given.take("chance", ["share"], 1)?;
    match share {
        Value::Share(millionths) => Ok(Value::Bool(machine.chance(given.place)?.free.chance(millionths))),
        other => Err(machine.heap.wrong("a share such as 0.15", other, given.place)),
    }
}

/// `choice(list, weights = None)`: one of it, the same in every attempt at a sample.
pub(super) fn choice<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [list, weights] = given.take("choice", ["list", "weights"], 1)?;
    let all = machine.heap.all(list, place)?;
    if all.is_empty() {
        return Err(Fault::new(place, "nothing can be chosen from an empty list").into());
    }
    let at = match weights {
        Value::Unset | Value::None => machine.chance(place)?.steady.below(all.len() as u32) as usize,
        weights => {
            let mut numbers = Vec::new();
            for weight in machine.heap.all(weights, place)? {
                let weight = machine.count_of(weight, place)?;
                numbers.push(machine.drawn_from(weight as i64, place)?);
            }
            if numbers.len() != all.len() || numbers.iter().all(|weight| *weight == 0) {
                let why = format!("{} weights for {} values", numbers.len(), all.len());
                return Err(Fault::new(place, why).with_hint("give one for each, and not 0 for all").into());
            }
            ops::choice(&mut machine.chance(place)?.steady, &numbers)
        }
    };
    Ok(all[at])
}

/// `lookup(table, key)`: what stands for a key in a dict or a list of pairs, of which the last counts; or None.
pub(super) fn lookup<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [table, key] = given.take("lookup", ["table", "key"], 2)?;
    if let Value::Dict(dict) = table {
        return Ok(machine.heap.get(dict, key, place)?.unwrap_or(Value::None));
    }
    for pair in machine.heap.all(table, place)?.into_iter().rev() {
        let Some(&[one, value]) = machine.heap.items(pair) else {
            return Err(machine.heap.wrong("a pair", pair, place));
        };
        if machine.heap.equal(one, key, place)? {
            return Ok(value);
        }
    }
    Ok(Value::None)
}

/// `label(i)`: A, B, C …
pub(super) fn label<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [at] = given.take("label", ["place"], 1)?;
    let at = machine.count_of(at, given.place)?;
    if at >= 26 {
        return Err(Fault::new(given.place, format!("there is no letter {at}"))
            .with_hint("labels go from 0 to 25; a number is its own label: `i + 1`")
            .into());
    }
    machine.heap.text(char::from(b'A' + at as u8).to_string(), given.place)
}

/// `pool_size()`: how many words can be drawn.
pub(super) fn pool_size<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [] = given.take("pool_size", [], 0)?;
    Ok(Value::Int(machine.heap.words.into()))
}
