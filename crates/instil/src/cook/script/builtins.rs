//! The functions that are built in: those of Python here, those of templates in `ops` and `declare`.

use std::cmp::Ordering;

use super::eval::Machine;
use super::heap::{Run, Stop, Value};
use super::{Fault, Place, declare, ops};

/// What a function is called with.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) place: Place,
    pub(super) plain: Vec<Value>,
    pub(super) named: Vec<(&'a str, Value)>,
}

impl Given<'_> {
    /// The values of these parameters of `function`, [`Value::Unset`] where one isn't given.
    ///
    /// # Errors
    /// When one of the first `required` isn't given, or something that no parameter is.
    pub(super) fn take<const N: usize>(
        &self,
        function: &str,
        parameters: [&str; N],
        required: usize,
    ) -> Run<[Value; N]> {
        let mut values = [Value::Unset; N];
        let takes = || format!("`{function}({})`", parameters.join(", "));
        if self.plain.len() > N {
            return Err(
                Fault::new(self.place, format!("{} is given {} values", takes(), self.plain.len())).into()
            );
        }
        values[..self.plain.len()].copy_from_slice(&self.plain);
        for (name, value) in &self.named {
            let Some(at) = parameters.iter().position(|parameter| parameter == name) else {
                return Err(Fault::new(self.place, format!("{} has no parameter `{name}`", takes())).into());
            };
            if !matches!(values[at], Value::Unset) {
                return Err(Fault::new(self.place, format!("{} is given `{name}` twice", takes())).into());
            }
            values[at] = *value;
        }
        match values[..required].iter().position(|value| matches!(value, Value::Unset)) {
            None => Ok(values),
            Some(at) => Err(Fault::new(self.place, format!("{} needs `{}`", takes(), parameters[at])).into()),
        }
    }
}

pub(super) type Act = for<'a> fn(&mut Machine<'a>, Given<'a>) -> Run<Value>;

/// A function that is built in, by its place in [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Builtin(u8);

const TABLE: &[(&str, Act)] = &[
    ("abs", abs),
    ("all", all),
    ("any", any),
    ("argmax", ops::argmax),
    ("argmin", ops::argmin),
    ("bool", bool),
    ("chance", ops::chance),
    ("choice", ops::choice),
    ("compare", ops::compare),
    ("concat", ops::concat),
    ("count", ops::count),
    ("dict", dict),
    ("drop", ops::drop),
    ("enumerate", enumerate),
    ("fail", fail),
    ("index_of", ops::index_of),
    ("insert", ops::insert),
    ("int", ops::int),
    ("knob", declare::knob),
    ("label", ops::label),
    ("len", len),
    ("list", list),
    ("lookup", ops::lookup),
    ("max", max),
    ("min", min),
    ("overlap", ops::overlap),
    ("pick", ops::pick),
    ("pool_size", ops::pool_size),
    ("range", range),
    ("redraw", redraw),
    ("replace", ops::replace),
    ("reversed", reversed),
    ("sample", ops::sample),
    ("shuffle", ops::shuffle),
    ("sort", sort),
    ("sorted", sort),
    ("span", ops::span),
    ("str", str),
    ("sum", sum),
    ("template", declare::template),
    ("tuple", tuple),
    ("window", ops::window),
    ("zip", zip),
];

impl Builtin {
    pub(super) fn of(name: &str) -> Option<Self> {
        TABLE.iter().position(|(known, _)| *known == name).map(|at| Self(at as u8))
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(name, _)| *name)
    }

    pub(super) fn call<'a>(self, machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
        machine.heap.spend(1, given.place)?;
        (TABLE[self.0 as usize].1)(machine, given)
    }
}

fn len<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("len", ["list"], 1)?;
    match machine.heap.len(of) {
        Some(len) => Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX))),
        None => Err(machine.heap.wrong("a list, a string or a dict", of, given.place)),
    }
}

fn range<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [first, second, step] = given.take("range", ["start", "stop", "step"], 1)?;
    let number = |value: Value, default: i64| match value {
        Value::Unset => Ok(default),
        Value::Int(number) => Ok(number),
        other => Err(machine.heap.wrong("a number", other, given.place)),
    };
    let (start, stop) = match second {
        Value::Unset => (0, number(first, 0)?),
        _ => (number(first, 0)?, number(second, 0)?),
    };
    let step = number(step, 1)?;
    let len = match step.cmp(&0) {
        Ordering::Equal => return Err(Fault::new(given.place, "a range in steps of 0").into()),
        Ordering::Greater => (i128::from(stop) - i128::from(start)).max(0),
        Ordering::Less => (i128::from(start) - i128::from(stop)).max(0),
    };
    let step_len = i128::from(step).abs();
    let len = u64::try_from((len + step_len - 1) / step_len).unwrap_or(u64::MAX);
    machine.heap.range(start, step, len, given.place)
}

fn list<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("list", ["items"], 0)?;
    let items = if let Value::Unset = of { Vec::new() } else { machine.heap.all(of, given.place)? };
    machine.heap.list(items, given.place)
}

fn tuple<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("tuple", ["items"], 0)?;
    let items = if let Value::Unset = of { Vec::new() } else { machine.heap.all(of, given.place)? };
    machine.heap.tuple(items, given.place)
}

fn dict<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("dict", ["pairs"], 0)?;
    let made = machine.heap.dict(given.place)?;
    let Value::Dict(dict) = made else { return Ok(made) };
    if let Some(pairs) = machine.heap.pairs(of) {
        // The dictionary may be the one that is read.
        let pairs = pairs.to_vec();
        for (key, value) in pairs {
            machine.heap.put(dict, key, value, given.place)?;
        }
        return Ok(made);
    }
    if let Value::Unset = of {
        return Ok(made);
    }
    for pair in machine.heap.all(of, given.place)? {
        match machine.heap.items(pair) {
            Some(&[key, value]) => machine.heap.put(dict, key, value, given.place)?,
            _ => return Err(machine.heap.wrong("a pair", pair, given.place)),
        }
    }
    Ok(made)
}

fn enumerate<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("enumerate", ["list"], 1)?;
    let mut pairs = Vec::new();
    for (at, item) in machine.heap.all(of, given.place)?.into_iter().enumerate() {
        pairs.push(machine.heap.tuple(vec![Value::Int(at as i64), item], given.place)?);
    }
    machine.heap.list(pairs, given.place)
}

fn zip<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let mut lists = Vec::new();
    for list in &given.plain {
        lists.push(machine.heap.all(*list, given.place)?);
    }
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    let mut rows = Vec::new();
    for at in 0..shortest {
        let row = lists.iter().map(|list| list[at]).collect();
        rows.push(machine.heap.tuple(row, given.place)?);
    }
    machine.heap.list(rows, given.place)
}

fn reversed<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("reversed", ["list"], 1)?;
    let mut items = machine.heap.all(of, given.place)?;
    items.reverse();
    machine.heap.list(items, given.place)
}

/// `sort(list, key = None, reverse = False)`: equal ones stay in their order.
fn sort<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of, key, reverse] = given.take("sort", ["list", "key", "reverse"], 1)?;
    let items = machine.heap.all(of, given.place)?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = match key {
            Value::Unset | Value::None => item,
            key => machine.call(key, Given { place: given.place, plain: vec![item], named: Vec::new() })?,
        };
        keyed.push((key, item));
    }
    let is_reverse = machine.heap.is_true(reverse);
    let mut stop: Option<Stop> = None;
    // After a fault all are equal, which is an order.
    keyed.sort_by(|(a, _), (b, _)| {
        if stop.is_some() {
            return Ordering::Equal;
        }
        match machine.heap.order(*a, *b, given.place) {
            Ok(order) if is_reverse => order.reverse(),
            Ok(order) => order,
            Err(fault) => {
                stop = Some(fault);
                Ordering::Equal
            }
        }
    });
    match stop {
        Some(stop) => Err(stop),
        None => machine.heap.list(keyed.into_iter().map(|(_, item)| item).collect(), given.place),
    }
}

/// The values themselves, or those of the one list that is given.
fn of_all<'a>(machine: &mut Machine<'a>, given: &Given<'a>) -> Run<Vec<Value>> {
    match given.plain[..] {
        [one] => machine.heap.all(one, given.place),
        _ => Ok(given.plain.clone()),
    }
}

fn min<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    best(machine, &given, Ordering::Less)
}

fn max<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    best(machine, &given, Ordering::Greater)
}

fn best<'a>(machine: &mut Machine<'a>, given: &Given<'a>, wanted: Ordering) -> Run<Value> {
    let mut all = of_all(machine, given)?.into_iter();
    let Some(mut best) = all.next() else {
        return Err(Fault::new(given.place, "nothing is the least or the greatest of nothing").into());
    };
    for one in all {
        if machine.heap.order(one, best, given.place)? == wanted {
            best = one;
        }
    }
    Ok(best)
}

fn sum<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("sum", ["list"], 1)?;
    let mut sum = 0_i64;
    for item in machine.heap.all(of, given.place)? {
        match item {
            Value::Int(number) => {
                sum = sum
                    .checked_add(number)
                    .ok_or_else(|| Fault::new(given.place, "the sum has more than 63 bits"))?;
            }
            other => return Err(machine.heap.wrong("a number", other, given.place)),
        }
    }
    Ok(Value::Int(sum))
}

fn abs<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("abs", ["number"], 1)?;
    match of {
        Value::Int(number) => Ok(Value::Int(number.saturating_abs())),
        other => Err(machine.heap.wrong("a number", other, given.place)),
    }
}

fn any<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("any", ["list"], 1)?;
    let all = machine.heap.all(of, given.place)?;
    Ok(Value::Bool(all.into_iter().any(|item| machine.heap.is_true(item))))
}

fn all<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("all", ["list"], 1)?;
    let all = machine.heap.all(of, given.place)?;
    Ok(Value::Bool(all.into_iter().all(|item| machine.heap.is_true(item))))
}

fn bool<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("bool", ["value"], 1)?;
    Ok(Value::Bool(machine.heap.is_true(of)))
}

fn str<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [of] = given.take("str", ["value"], 1)?;
    let text = match of {
        Value::Str(_) => return Ok(of),
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        other => {
            return Err(machine.heap.wrong("a number, a string, True, False or None", other, given.place));
        }
    };
    machine.heap.text(text, given.place)
}

fn fail<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [message] = given.take("fail", ["message"], 1)?;
    match machine.heap.str(message) {
        Some(text) => Err(Stop::Fail(Box::new(Fault::new(given.place, text)))),
        None => Err(machine.heap.wrong("a string", message, given.place)),
    }
}

fn redraw<'a>(machine: &mut Machine<'a>, given: Given<'a>) -> Run<Value> {
    let [] = given.take("redraw", [], 0)?;
    machine.chance(given.place)?;
    Err(Stop::Redraw)
}
