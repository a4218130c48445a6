//! A template whose rule is a script.

use std::sync::Arc;

use super::builtins::Given;
use super::declare::Declared;
use super::eval::Machine;
use super::heap::{Run, Stop, Value};
use super::{Fault, Place, Script};
use crate::cook::content::Content;
use crate::cook::draw::Draw;
use crate::cook::frame::{Frame, Wording};
use crate::cook::knobs::{self, Knob, KnobKind, Settings};
use crate::cook::reading::{Reading, words};
use crate::cook::templates::{Ambiguous, Family, Template};
use crate::cook::tokens::{Mark, NUMBERS, Pool, SCHEMES};
use crate::error::{Error, Result, nearest};

/// A template that a script declares.
#[derive(Debug)]
pub struct ScriptTemplate {
    script: Arc<Script>,
    declared: Declared,
    judges: bool,
}

impl ScriptTemplate {
    pub(super) fn new(script: &Arc<Script>, declared: Declared) -> Result<Self> {
        let machine = Machine::new(&script.program, &script.frozen, script.limits);
        let judges = declared.judges(&machine);
        Ok(Self { script: Arc::clone(script), declared, judges })
    }

    /// The script that declares it.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Whether a slot holds a list of items.
    pub(in crate::cook) fn is_list(&self, slot: usize) -> bool {
        self.declared.is_list[slot]
    }

    /// Whether its answers can be derived anew.
    pub fn can_solve(&self) -> bool {
        self.declared.solve.is_some()
    }

    fn machine(&self) -> Machine<'_> {
        Machine::new(&self.script.program, &self.script.frozen, self.script.limits)
    }

    fn error(&self, stop: Stop) -> Error {
        match stop {
            Stop::Fault(fault) => fault.into_error(&self.script.name),
            Stop::Fail(fault) => {
                fault.with_hint("the script itself ends here, with `fail(…)`").into_error(&self.script.name)
            }
            Stop::Redraw => {
                Fault::new(self.declared.place, "`redraw()` outside of `make`").into_error(&self.script.name)
            }
        }
    }

    fn slots(&self) -> Vec<&str> {
        self.declared.slots.iter().map(String::as_str).collect()
    }

    fn knob(&self, name: &str) -> Option<(usize, &Knob)> {
        self.declared.knobs.iter().enumerate().find(|(_, knob)| knob.name == name)
    }

    /// Calls one of its functions with a value for each parameter.
    fn call<'a>(
        &'a self,
        machine: &mut Machine<'a>,
        function: u32,
        mut value_of: impl FnMut(&mut Machine<'a>, &str, Place) -> Run<Value>,
    ) -> Run<Value> {
        let of = machine.function(function);
        let mut plain = Vec::with_capacity(of.parameters.len());
        for parameter in &of.parameters {
            plain.push(value_of(machine, &parameter.name, parameter.place)?);
        }
        machine.call(Value::Function(function), Given { place: of.place, plain, named: Vec::new() })
    }

    /// A knob's one value, as a script sees it.
    fn shown(&self, machine: &mut Machine<'_>, knob: &Knob, value: u32, place: Place) -> Run<Value> {
        match knob.kind {
            KnobKind::Count => Ok(Value::Int(value.into())),
            KnobKind::Share => Ok(Value::Share(value)),
            KnobKind::Choice(words) => machine.heap.text(words[value as usize], place),
        }
    }

    fn fill(&self, settings: &Settings, draw: &mut Draw, pool: &Pool, content: &mut Content) -> Run<()> {
        // What the knobs draw is the same in every attempt, and comes before all else.
        let drawn: Vec<u32> = settings
            .values()
            .iter()
            .map(|value| if value.is_one() { value.lo } else { draw.steady.within(*value) })
            .collect();
        let mut machine = self.machine();
        machine.heap.chance = Some(draw);
        machine.heap.words = pool.size();
        let place = machine.function(self.declared.make).place;
        let made =
            self.call(&mut machine, self.declared.make, |machine, name, place| match self.knob(name) {
                Some((at, knob)) => self.shown(machine, knob, drawn[at], place),
                None => Ok(Value::None),
            })?;
        let Some(pairs) = machine.heap.pairs(made) else {
            return Err(machine.heap.wrong("a dict of slots, returned by `make`", made, place));
        };
        for (key, _) in pairs {
            let name = machine.heap.str(*key).unwrap_or("…");
            if !self.declared.slots.iter().any(|slot| slot == name) {
                let fault = Fault::new(place, format!("`make` returns `{name}`, which no prompt shows"));
                return Err(match nearest(name, self.slots()) {
                    Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
                    None => fault.with_hint(format!("there are: {}", self.slots().join(", "))),
                }
                .into());
            }
        }
        for (slot, name) in self.declared.slots.iter().enumerate() {
            let found = pairs.iter().find(|(key, _)| machine.heap.str(*key) == Some(name));
            let Some((_, value)) = found else {
                return Err(Fault::new(place, format!("`make` returns no `{name}`"))
                    .with_hint("return a dict with every slot that is shown")
                    .into());
            };
            content.begin(slot);
            if !self.declared.is_list[slot] {
                self.item(&machine, pool, *value, slot, content, place)?;
                continue;
            }
            let Some(items) = machine.heap.items(*value) else {
                return Err(machine.heap.wrong(&format!("`{name}` a list of items"), *value, place));
            };
            for item in items {
                self.item(&machine, pool, *item, slot, content, place)?;
            }
        }
        if content.items(self.declared.slots.len() - 1).len() == 0 {
            return Err(Fault::new(place, "the answer has no items").into());
        }
        Ok(())
    }

    /// Writes one item of a slot: a word, or a list of words and marks.
    fn item(
        &self,
        machine: &Machine<'_>,
        pool: &Pool,
        value: Value,
        slot: usize,
        content: &mut Content,
        place: Place,
    ) -> Run<()> {
        let name = &self.declared.slots[slot];
        let single = [value];
        let words = machine.heap.items(value).unwrap_or(&single);
        if words.is_empty() {
            return Err(Fault::new(place, format!("`make` returns an empty `{name}`"))
                .with_hint("draw it anew with `redraw()`, or refuse the settings in `check`")
                .into());
        }
        for word in words {
            let token = match word {
                Value::Token(token) => Some(*token),
                Value::Int(number) => u32::try_from(*number)
                    .ok()
                    .filter(|number| *number < NUMBERS)
                    .map(|number| pool.mark(Mark::Number(number))),
                Value::Str(_) => machine.heap.str(*word).and_then(mark).map(|mark| pool.mark(mark)),
                _ => None,
            };
            let Some(token) = token else {
                let what = match (machine.heap.str(*word), word) {
                    (Some(text), _) => format!("the string `{text}`"),
                    (None, Value::Int(number)) => format!("the number {number}"),
                    (None, other) => machine.heap.kind(*other).to_owned(),
                };
                let fault = Fault::new(place, format!("`make` returns {what} among the words of `{name}`"));
                return Err(fault
                    .with_hint(match word {
                        Value::List(_) | Value::Tuple(_) => format!(
                            "`{name}` is shown as one list of words; a list of lists is shown by `{{{name}/\\n@.*}}`"
                        ),
                        _ => format!(
                            "beside words there are Yes, No, yes, no, A to Z, 0 to {}, `.`, `:` and `_`; all else \
                             belongs into the prompt",
                            NUMBERS - 1
                        ),
                    })
                    .into());
            };
            content.tokens.push(token);
        }
        content.close();
        Ok(())
    }

    /// Calls `solve` with what was read; with the answer too, where it judges.
    fn solved<'a>(
        &'a self,
        machine: &mut Machine<'a>,
        settings: &Settings,
        asked: &Reading<'_>,
        said: &[Vec<&str>],
    ) -> Run<Option<Value>> {
        let Some(solve) = self.declared.solve else { return Ok(None) };
        let answer = self.declared.slots.len() - 1;
        let solved = self.call(machine, solve, |machine, name, place| {
            if let Some((at, knob)) = self.knob(name) {
                return self.shown(machine, knob, settings.at(at).lo, place);
            }
            let slot = self.declared.slots.iter().position(|slot| slot == name).unwrap_or(answer);
            let items = if slot == answer { said } else { asked.items(slot) };
            let mut lists = Vec::with_capacity(items.len());
            for item in items {
                let mut words = Vec::with_capacity(item.len());
                for word in item {
                    words.push(machine.heap.text(*word, place)?);
                }
                lists.push(machine.heap.list(words, place)?);
            }
            match (self.declared.is_list[slot], lists.first()) {
                (false, Some(first)) => Ok(*first),
                _ => machine.heap.list(lists, place),
            }
        })?;
        Ok(Some(solved))
    }

    /// The words of an answer that `solve` returned.
    fn words_of(&self, machine: &Machine<'_>, value: Value, right: &mut Vec<String>, deep: u32) -> Run<()> {
        match (value, machine.heap.str(value)) {
            (Value::Int(number), _) => right.push(number.to_string()),
            (_, Some(text)) => right.extend(words(text).into_iter().map(str::to_owned)),
            (Value::List(_) | Value::Tuple(_), _) if deep < 3 => {
                for item in machine.heap.items(value).unwrap_or_default() {
                    self.words_of(machine, *item, right, deep + 1)?;
                }
            }
            _ => {
                let place =
                    self.declared.solve.map_or(self.declared.place, |solve| machine.function(solve).place);
                return Err(machine.heap.wrong(
                    "the answer that `solve` returns, words or a number",
                    value,
                    place,
                ));
            }
        }
        Ok(())
    }

    fn right(&self, settings: &Settings, asked: &Reading<'_>) -> Run<Option<Vec<String>>> {
        let mut machine = self.machine();
        match self.solved(&mut machine, settings, asked, &[])? {
            None | Some(Value::None) => Ok(None),
            Some(value) => {
                let mut right = Vec::new();
                self.words_of(&machine, value, &mut right, 0)?;
                Ok(Some(right))
            }
        }
    }

    fn is_right(&self, settings: &Settings, asked: &Reading<'_>, said: &[Vec<&str>]) -> Run<bool> {
        if !self.judges {
            let right = self.right(settings, asked)?;
            return Ok(right
                .is_some_and(|right| said.iter().flatten().copied().eq(right.iter().map(String::as_str))));
        }
        let mut machine = self.machine();
        match self.solved(&mut machine, settings, asked, said)? {
            Some(Value::Bool(is)) => Ok(is),
            other => {
                let place =
                    self.declared.solve.map_or(self.declared.place, |solve| machine.function(solve).place);
                Err(machine.heap.wrong(
                    "True or False, since `solve` takes the answer",
                    other.unwrap_or(Value::None),
                    place,
                ))
            }
        }
    }
}

/// The mark that is written so.
pub(in crate::cook) fn mark(text: &str) -> Option<Mark> {
    Some(match text {
        "." => Mark::Stop,
        ":" => Mark::Colon,
        "_" => Mark::Blank,
        "Yes" => Mark::Same(true),
        "No" => Mark::Same(false),
        "yes" => Mark::Holds(true),
        "no" => Mark::Holds(false),
        _ => match text.as_bytes() {
            [letter @ b'A'..=b'Z'] => Mark::Letter(u32::from(letter - b'A')),
            _ => match SCHEMES.iter().position(|scheme| *scheme == text) {
                Some(scheme) => Mark::Scheme(scheme as u32),
                None => Mark::Number(
                    text.parse()
                        .ok()
                        .filter(|number: &u32| *number < NUMBERS && text == number.to_string())?,
                ),
            },
        },
    })
}

impl Template for ScriptTemplate {
    fn name(&self) -> &str {
        &self.declared.name
    }

    /// The first digits of the hash of its script: another text makes other samples.
    fn version(&self) -> u32 {
        u32::from_str_radix(&self.script.hash[..8], 16).unwrap_or(0)
    }

    fn family(&self) -> Family {
        self.declared.family
    }

    fn about(&self) -> &str {
        &self.declared.about
    }

    fn stands_for(&self) -> &str {
        &self.declared.stands_for
    }

    fn knobs(&self) -> &[Knob] {
        &self.declared.knobs
    }

    fn slots(&self) -> Vec<&str> {
        self.slots()
    }

    fn options(&self) -> Option<usize> {
        self.declared.options
    }

    fn frames(&self, wording: Wording) -> Result<Vec<Frame>> {
        let Declared { prompts, completion, asks, .. } = &self.declared;
        let slots = self.slots();
        let mut frames = Vec::new();
        for prompt in prompts {
            // In a turn of its own, the answer needs no cue: what stands behind the last slot, on a line of its own.
            let body = match (wording, prompt.rsplit_once('\n')) {
                (Wording::Chat, Some((body, cue))) if !cue.contains('{') => body,
                _ => prompt,
            };
            let is_turn = wording == Wording::Chat;
            if asks.is_empty() || matches!(wording, Wording::Bare | Wording::Harness) {
                frames.push(Frame::parse(body, completion, is_turn, &slots)?);
                continue;
            }
            for ask in asks {
                let between = if is_turn { "\n\n" } else { "\n" };
                frames.push(Frame::parse(&format!("{ask}{between}{body}"), completion, is_turn, &slots)?);
            }
        }
        if wording == Wording::Harness {
            frames.truncate(1);
        }
        Ok(frames)
    }

    fn check(&self, settings: &Settings, pool: &Pool) -> Result<()> {
        let machine = &mut self.machine();
        if let Some(solve) = self.declared.solve {
            for parameter in &machine.function(solve).parameters {
                if let Some((at, knob)) = self.knob(&parameter.name)
                    && !settings.at(at).is_one()
                {
                    let shown = knob.show(settings.at(at));
                    return Err(Error::usage(format!(
                        "`{}` can't solve samples with `{}={shown}`",
                        self.name(),
                        knob.name
                    ))
                    .because("which number was drawn for a sample is not in its prompt")
                    .with_hint(format!(
                        "set one number, or show it in the prompt, as a slot that `make` gives {}",
                        knob.name
                    )));
                }
            }
        }
        let Some(check) = self.declared.check else { return Ok(()) };
        let asked: Vec<String> =
            machine.function(check).parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let checked = self.call(machine, check, |machine, name, place| match self.knob(name) {
            None => Ok(Value::Int(pool.size().into())),
            Some((at, knob)) => {
                let knobs::Value { lo, hi } = settings.at(at);
                let lo = self.shown(machine, knob, lo, place)?;
                if let KnobKind::Choice(_) = knob.kind {
                    return Ok(lo);
                }
                let hi = self.shown(machine, knob, hi, place)?;
                machine.heap.tuple(vec![lo, hi], place)
            }
        });
        match checked {
            Ok(_) => Ok(()),
            Err(Stop::Fail(fault)) => {
                let shown: Vec<String> = settings
                    .shown()
                    .filter(|(name, _)| asked.iter().any(|one| one == name))
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let Place { line, column } = fault.place;
                let script = &self.script.name;
                Err(Error::usage(format!("`{}` can't be made with `{}`", self.name(), shown.join(" ")))
                    .because(format!("{script}:{line}:{column}: {}", fault.message))
                    .with_hint(format!("set something else with `--set {}.KNOB=VALUE`", self.name())))
            }
            Err(stop) => Err(self.error(stop)),
        }
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        self.fill(settings, draw, pool, content).map_err(|stop| {
            if !matches!(stop, Stop::Redraw) {
                content.fault = Some(Arc::new(self.error(stop)));
            }
            Ambiguous
        })
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        if self.judges {
            return None;
        }
        self.right(settings, asked).ok().flatten()
    }

    fn judge(&self, settings: &Settings, asked: &Reading<'_>, said: &[Vec<&str>]) -> Result<bool> {
        self.is_right(settings, asked, said).map_err(|stop| self.error(stop))
    }

    fn score(&self, settings: &Settings, asked: &Reading<'_>, output: &str) -> f64 {
        if !self.judges {
            return self
                .solve(settings, asked)
                .map_or(0.0, |right| crate::cook::score::by_words(&right, output));
        }
        let said: Vec<Vec<&str>> = match self.declared.is_list.last() {
            Some(true) => output.trim().lines().map(words).collect(),
            _ => vec![words(output)],
        };
        f64::from(u8::from(self.is_right(settings, asked, &said).unwrap_or(false)))
    }
}
