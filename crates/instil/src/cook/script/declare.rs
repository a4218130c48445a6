//! What a script declares: `template(…)` and `knob(…)`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Mutex;

use super::builtins::Given;
use super::eval::Machine;
use super::heap::{Run, Stop, Value};
use super::{Fault, Place};
use crate::cook::content::SLOTS;
use crate::cook::knobs::{self, Knob, KnobKind};
use crate::cook::templates::Family;
use crate::error::nearest;

/// The greatest value of a knob that doesn't say one.
const MOST: u32 = 1_000_000;

/// A template as its script declares it.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) about: String,
    pub(super) stands_for: String,
    pub(super) family: Family,
    pub(super) knobs: Vec<Knob>,
    pub(super) make: u32,
    pub(super) solve: Option<u32>,
    pub(super) check: Option<u32>,
    pub(super) prompts: Vec<String>,
    pub(super) completion: String,
    pub(super) asks: Vec<String>,
    /// The names of the slots, in the order in which they are shown; the last is the answer.
    pub(super) slots: Vec<String>,
    /// Whether a slot holds a list of items.
    pub(super) is_list: Vec<bool>,
    pub(super) options: Option<usize>,
    /// `make`, `solve` and `check` as they were given; nothing where the functions of these names are meant.
    given: [Value; 3],
}

/// `knob(default, least = 0, most = 1000000, about = "")`.
pub(super) fn knob<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let place = given.place;
    let [default, least, most, about] = given.take("knob", ["default", "least", "most", "about"], 1)?;
    let about = text_or(machine, about, "", place)?;
    let mut knob = knob_of(machine, "", default, place)?;
    knob.about = Cow::Owned(about);
    for (limit, given) in [(&mut knob.limits.lo, least), (&mut knob.limits.hi, most)] {
        match (given, knob.kind) {
            (Value::Unset, _) => {}
            (Value::Int(number), KnobKind::Count) => *limit = small(number, place)?,
            (Value::Share(share), KnobKind::Share) => *limit = share,
            (other, _) => return Err(machine.heap.wrong("a limit of the kind of the default", other, place)),
        }
    }
    if knob.limits.lo > knob.default.lo || knob.default.hi > knob.limits.hi {
        return Err(Fault::new(place, "the default lies outside of the limits").into());
    }
    machine.heap.knob(knob, place)
}

fn small(number: i64, place: Place) -> Run<u32> {
    u32::try_from(number).map_err(|_| {
        Fault::new(place, format!("a knob can't be {number}")).with_hint("knobs count from 0").into()
    })
}

/// The knob that a value stands for: a number, a pair of numbers, a share, or a list of words to choose from.
fn knob_of(machine: &Machine<'_>, name: &str, value: Value, place: Place) -> Run<Knob> {
    let pair = match (value, machine.heap.items(value)) {
        (Value::Tuple(_), Some(&[lo, hi])) => (lo, hi),
        (Value::Knob(at), _) => {
            if let super::heap::Object::Knob(knob) = machine.heap.object(at) {
                return Ok(Knob { name: Cow::Owned(name.to_owned()), ..(**knob).clone() });
            }
            (value, value)
        }
        (Value::List(_), Some(words)) if !words.is_empty() => {
            let mut choices = Vec::new();
            for word in words {
                match machine.heap.str(*word) {
                    Some(text) if !text.is_empty() => choices.push(text.to_owned()),
                    _ => return Err(machine.heap.wrong("a word to choose", *word, place)),
                }
            }
            let limits = knobs::Value::range(0, choices.len() as u32 - 1);
            return Ok(Knob {
                name: Cow::Owned(name.to_owned()),
                about: Cow::Borrowed(""),
                kind: KnobKind::Choice(kept(choices)),
                default: knobs::Value::one(0),
                limits,
            });
        }
        _ => (value, value),
    };
    let (kind, default, most) = match pair {
        (Value::Int(lo), Value::Int(hi)) => {
            (KnobKind::Count, knobs::Value::range(small(lo, place)?, small(hi, place)?), MOST)
        }
        (Value::Share(lo), Value::Share(hi)) => (KnobKind::Share, knobs::Value::range(lo, hi), 1_000_000),
        _ => {
            return Err(machine.heap.wrong(
                "a number, a pair of them, a share or a list of words",
                value,
                place,
            ));
        }
    };
    if default.lo > default.hi {
        return Err(Fault::new(place, format!("the knob `{name}` ends before it begins")).into());
    }
    Ok(Knob {
        name: Cow::Owned(name.to_owned()),
        about: Cow::Borrowed(""),
        kind,
        default,
        limits: knobs::Value::range(0, most.max(default.hi)),
    })
}

/// Words that stay for the rest of the process, each list of them once: knobs of built-in templates are constants.
fn kept(words: Vec<String>) -> &'static [&'static str] {
    static KEPT: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let same = kept.iter().find(|list| list.iter().eq(words.iter())).copied();
    same.unwrap_or_else(|| {
        let words: Vec<&'static str> = words.into_iter().map(|word| &*word.leak()).collect();
        let words: &'static [&'static str] = words.leak();
        kept.insert(words);
        words
    })
}

fn text_or(machine: &Machine<'_>, value: Value, default: &str, place: Place) -> Run<String> {
    match (value, machine.heap.str(value)) {
        (Value::Unset | Value::None, _) => Ok(default.to_owned()),
        (_, Some(text)) => Ok(text.to_owned()),
        (other, None) => Err(machine.heap.wrong("a string", other, place)),
    }
}

/// One string or several.
fn texts(machine: &Machine<'_>, value: Value, place: Place) -> Run<Vec<String>> {
    match machine.heap.items(value) {
        Some(items) => items.iter().map(|item| text_or(machine, *item, "", place)).collect(),
        None if matches!(value, Value::Unset | Value::None) => Ok(Vec::new()),
        None => Ok(vec![text_or(machine, value, "", place)?]),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `template(name, prompt, completion = "{answer}", make, solve, check, knobs, instruction, about, stands_for, family,
/// options)`.
pub(super) fn template<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    const PARAMETERS: [&str; 12] = [
        "name",
        "prompt",
        "completion",
        "make",
        "solve",
        "check",
        "knobs",
        "instruction",
        "about",
        "stands_for",
        "family",
        "options",
    ];
    let place = given.place;
    let [name, prompt, completion, make, solve, check, knobs, asks, about, stands_for, family, options] =
        given.take("template", PARAMETERS, 2)?;
    let name = text_or(machine, name, "", place)?;
    if !is_name(&name) {
        return Err(Fault::new(place, format!("`{name}` is no name for a template"))
            .with_hint("take letters, digits and `_`, a letter first")
            .into());
    }
    let prompts: Vec<String> = texts(machine, prompt, place)?.iter().map(|text| tight(text)).collect();
    let completion = tight(&text_or(machine, completion, "{answer}", place)?);
    let (slots, is_list) =
        slots(&prompts, &completion).map_err(|why| Fault::new(place, why.0).with_hint(why.1))?;
    let family = match &*text_or(machine, family, Family::Generation.name(), place)? {
        "selection" => Family::Selection,
        "search" => Family::Search,
        "comparison" => Family::Comparison,
        "generation" => Family::Generation,
        other => {
            return Err(Fault::new(place, format!("there is no family `{other}`"))
                .with_hint("there are selection, search, comparison and generation")
                .into());
        }
    };
    let options = match options {
        Value::Unset | Value::None => None,
        options => {
            let named = text_or(machine, options, "", place)?;
            let at = slots.iter().position(|slot| *slot == named);
            Some(at.ok_or_else(|| Fault::new(place, format!("no slot `{named}` is shown")))?)
        }
    };
    let knobs = match knobs {
        Value::Unset | Value::None => Vec::new(),
        value => {
            let Some(pairs) = machine.heap.pairs(value) else {
                return Err(machine.heap.wrong("a dict of knobs", value, place));
            };
            let mut knobs = Vec::new();
            for (name, value) in pairs {
                let name = text_or(machine, *name, "", place)?;
                if !is_name(&name) || slots.contains(&name) {
                    let fault = Fault::new(place, format!("a knob can't be called `{name}`"));
                    return Err(fault.with_hint("take letters, digits and `_`, and no slot's name").into());
                }
                knobs.push(knob_of(machine, &name, *value, place)?);
            }
            knobs
        }
    };
    let about = text_or(machine, about, &format!("{name}, from a script."), place)?;
    let declared = Declared {
        place,
        stands_for: text_or(machine, stands_for, "a task of one's own", place)?,
        about,
        family,
        knobs,
        make: 0,
        solve: None,
        check: None,
        prompts,
        completion,
        asks: texts(machine, asks, place)?,
        slots,
        is_list,
        options,
        given: [make, solve, check],
        name,
    };
    let Some(all) = &mut machine.declared else {
        return Err(Fault::new(place, "a template within a function that makes samples")
            .with_hint("call `template(…)` at the top level")
            .into());
    };
    if all.iter().any(|other| other.name == declared.name) {
        return Err(Fault::new(place, format!("`{}` is declared twice", declared.name)).into());
    }
    all.push(declared);
    Ok(Value::None)
}

/// A frame without the blanks that its slots bring themselves.
fn tight(frame: &str) -> String {
    let mut tight = String::with_capacity(frame.len());
    let mut is_open = false;
    for letter in frame.chars() {
        if (letter == '{' || letter == '*' && is_open) && tight.ends_with(' ') {
            tight.pop();
        }
        match letter {
            '{' => is_open = true,
            '}' => is_open = false,
            _ => {}
        }
        tight.push(letter);
    }
    tight
}

/// What is wrong, and a way out.
type Why = (String, String);

/// The slots of frames in the order in which they are shown, and whether each is shown as a list.
fn slots(prompts: &[String], completion: &str) -> Result<(Vec<String>, Vec<bool>), Why> {
    let why = |message: String, hint: &str| Err((message, hint.to_owned()));
    let (mut slots, mut is_list): (Vec<String>, Vec<bool>) = (Vec::new(), Vec::new());
    let mut shown = Vec::new();
    for (at, frame) in prompts.iter().map(String::as_str).chain([completion]).enumerate() {
        let is_completion = at == prompts.len();
        let mut in_frame = 0;
        for (name, shape, behind) in holes(frame)? {
            if !is_name(name) {
                return why(format!("`{{{name}}}` is no slot"), "a slot is a name in braces: `{doc}`");
            }
            if is_word(behind) {
                return why(
                    format!("what stands behind `{{{name}}}` may be a word of it"),
                    "put a line's end or a mark behind it, so that the text can be read back: `{doc}\\nQuestion:`",
                );
            }
            if let Some(shape) = shape {
                let Some((before, rest)) = shape.split_once('*') else {
                    return why(format!("the shape of `{name}` has no `*`"), "write `{options/\\n@.*}`");
                };
                let (after, joint) = rest.split_once('/').unwrap_or((rest, ""));
                if is_word(&format!("{after}{joint}{before} ")) {
                    return why(
                        format!("nothing parts the items of `{name}`"),
                        "write `{options/\\n@.*}`, or `{names/*/,}` with commas between them",
                    );
                }
            }
            match slots.iter().position(|slot| slot == name) {
                None if at == 0 || is_completion => {
                    slots.push(name.to_owned());
                    is_list.push(shape.is_some());
                }
                None => {
                    return why(
                        format!("only some prompts show `{name}`"),
                        "show the same slots in each, so that each asks the same",
                    );
                }
                Some(_) if is_completion => {
                    return why(
                        format!("the prompt shows `{name}` already"),
                        "the completion is what it doesn't show",
                    );
                }
                Some(slot) if is_list[slot] != shape.is_some() => {
                    return why(
                        format!("`{name}` is a list in one prompt and none in another"),
                        "write it the same",
                    );
                }
                Some(_) => {}
            }
            in_frame += 1;
        }
        shown.push(in_frame);
    }
    let prompted = shown.first().copied().unwrap_or(0);
    if prompted == 0 || shown[..prompts.len()].iter().any(|count| *count != prompted) {
        return why(
            "every prompt must show each slot once".to_owned(),
            "write it as in `prompt = \"Document: {doc}\\nQuestion: {question}\\nAnswer:\"`",
        );
    }
    if slots.len() == prompted {
        return why("the completion shows nothing".to_owned(), "it is \"{answer}\" by default");
    }
    if slots.len() > SLOTS {
        return why(format!("{} slots are shown", slots.len()), &format!("a template has {SLOTS} at most"));
    }
    Ok((slots, is_list))
}

/// A slot's name, the shape of its items, and what stands behind it.
type Hole<'a> = (&'a str, Option<&'a str>, &'a str);

/// The slots of a frame.
fn holes(frame: &str) -> Result<Vec<Hole<'_>>, Why> {
    let mut holes = Vec::new();
    let mut rest = frame;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|close| open + close) else {
            return Err((
                format!("a brace of `{frame}` is not closed"),
                "a slot is a name in braces: `{doc}`".into(),
            ));
        };
        let inner = &rest[open + 1..close];
        let (name, shape) = match inner.split_once('/') {
            Some((name, shape)) => (name, Some(shape)),
            None => (inner, None),
        };
        rest = &rest[close + 1..];
        // A list that follows begins as its items do.
        let behind = match rest.strip_prefix('{') {
            Some(next) => {
                next.split_once('/').filter(|(name, _)| is_name(name)).map_or("a", |(_, shape)| shape)
            }
            None => rest,
        };
        holes.push((name, shape, behind));
    }
    Ok(holes)
}

/// Whether what is written behind a slot may be taken for a word of it.
fn is_word(behind: &str) -> bool {
    match behind.trim_start_matches(' ').chars().next() {
        None => !behind.is_empty(),
        Some(first) => first.is_alphanumeric() || "@#*_-'".contains(first),
    }
}

impl Declared {
    /// Finds its functions once the top level has run, and asserts that they ask for what there is.
    pub(super) fn settle(&mut self, machine: &Machine<'_>) -> Run<()> {
        let find = |given: Value, name: &str| match given {
            Value::Function(function) => Ok(Some(function)),
            Value::Unset => Ok(machine.function_named(name)),
            Value::None => Ok(None),
            other => Err(machine.heap.wrong(&format!("a function `{name}`"), other, self.place)),
        };
        let [make, solve, check] = self.given;
        let Some(make) = find(make, "make")? else {
            return Err(Fault::new(self.place, format!("`{}` has no function `make`", self.name))
                .with_hint("define `def make():`, which returns a dict of its slots")
                .into());
        };
        (self.make, self.solve, self.check) = (make, find(solve, "solve")?, find(check, "check")?);
        let knobs: Vec<&str> = self.knobs.iter().map(|knob| knob.name.as_ref()).collect();
        let slots: Vec<&str> = self.slots.iter().map(String::as_str).collect();
        for (function, may_ask) in [
            (Some(self.make), knobs.clone()),
            (self.solve, [slots.as_slice(), &knobs].concat()),
            (self.check, [knobs.as_slice(), &["pool_size"]].concat()),
        ] {
            let Some(function) = function.map(|function| machine.function(function)) else { continue };
            for parameter in &function.parameters {
                let name = parameter.name.as_str();
                if !may_ask.contains(&name) {
                    return Err(unknown(&function.name, name, &may_ask, parameter.place));
                }
            }
        }
        Ok(())
    }

    /// Whether `solve` takes the answer, and says whether it is right.
    pub(super) fn judges(&self, machine: &Machine<'_>) -> bool {
        let answer = self.slots.last();
        self.solve.is_some_and(|solve| {
            machine.function(solve).parameters.iter().any(|parameter| Some(&parameter.name) == answer)
        })
    }
}

fn unknown(function: &str, parameter: &str, known: &[&str], place: Place) -> Stop {
    let fault = Fault::new(place, format!("`{function}` asks for `{parameter}`, which there is none of"));
    let hint = match (nearest(parameter, known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "the template has no knob: add `knobs = {…}`".to_owned(),
        (None, known) => format!("there are: {}", known.join(", ")),
    };
    fault.with_hint(hint).into()
}
