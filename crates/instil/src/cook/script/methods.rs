//! What values can do: `list.append(…)`, `dict.get(…)`, `text.split()`.

use super::Fault;
use super::builtins::Given;
use super::eval::Machine;
use super::heap::{Object, Run, Value};

const OF_LISTS: &str = "append, extend, insert, pop, index";
const OF_DICTS: &str = "get, keys, values, items";
const OF_STRINGS: &str = "join, split, strip, upper, lower, startswith, endswith";

impl<'a> Machine<'a> {
    /// `of.name(given)`.
    pub(super) fn method(&mut self, of: Value, name: &str, given: Given<'a>) -> Run<Value> {
        let place = given.place;
        match (of, name) {
            (Value::List(list), "append") => {
                let [item] = given.take(name, ["item"], 1)?;
                self.push(list, item, place)?;
                Ok(Value::None)
            }
            (Value::List(list), "extend") => {
                let [items] = given.take(name, ["items"], 1)?;
                self.extend(list, items, place)?;
                Ok(Value::None)
            }
            (Value::List(list), "insert") => {
                let [at, item] = given.take(name, ["place", "item"], 2)?;
                let at = self.count_of(at, place)?;
                let len = self.heap.len(of).unwrap_or(0);
                self.heap.elements(len, place)?;
                if let Object::List(items) = self.heap.change(list, place)? {
                    items.insert(at.min(items.len()), item);
                }
                Ok(Value::None)
            }
            (Value::List(list), "pop") => {
                let [at] = given.take(name, ["place"], 0)?;
                let len = self.heap.len(of).unwrap_or(0);
                let at = match at {
                    Value::Unset => len.checked_sub(1),
                    at => Some(self.count_of(at, place)?).filter(|at| *at < len),
                };
                let Some(at) = at else {
                    return Err(
                        Fault::new(place, format!("there is nothing to take from a list of {len}")).into()
                    );
                };
                self.heap.spend((len - at) / 8 + 1, place)?;
                match self.heap.change(list, place)? {
                    Object::List(items) => Ok(items.remove(at)),
                    _ => Ok(Value::None),
                }
            }
            (Value::List(_) | Value::Tuple(_), "index") => {
                let [item] = given.take(name, ["item"], 1)?;
                let mut at = 0;
                while let Some(one) = self.heap.nth(of, at, place)? {
                    if self.heap.equal(one, item, place)? {
                        return Ok(Value::Int(at as i64));
                    }
                    at += 1;
                }
                Err(Fault::new(place, "the list has no such item")
                    .with_hint("`index_of` gives None instead")
                    .into())
            }
            (Value::Dict(dict), "get") => {
                let [key, default] = given.take(name, ["key", "default"], 1)?;
                Ok(match (self.heap.get(dict, key, place)?, default) {
                    (Some(value), _) => value,
                    (None, Value::Unset) => Value::None,
                    (None, default) => default,
                })
            }
            (Value::Dict(_), "keys" | "values" | "items") => {
                let [] = given.take(name, [], 0)?;
                let pairs = self.heap.pairs(of).unwrap_or_default().to_vec();
                let mut items = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    items.push(match name {
                        "keys" => key,
                        "values" => value,
                        _ => self.heap.tuple(vec![key, value], place)?,
                    });
                }
                self.heap.list(items, place)
            }
            (Value::Str(_), _) => self.of_text(of, name, given),
            _ => Err(self.no_method(of, name, place)),
        }
    }

    fn of_text(&mut self, of: Value, name: &str, given: Given<'a>) -> Run<Value> {
        let place = given.place;
        let text = self.heap.str(of).unwrap_or_default().to_owned();
        self.heap.spend(text.len() / 16 + 1, place)?;
        self.heap.reserve(text.len() as u64, place)?;
        match name {
            "join" => {
                let [items] = given.take(name, ["strings"], 1)?;
                let mut joined = String::new();
                for (at, item) in self.heap.all(items, place)?.into_iter().enumerate() {
                    let Some(item) = self.heap.str(item) else {
                        return Err(self.heap.wrong("a string", item, place));
                    };
                    let item = item.to_owned();
                    self.heap.reserve((text.len() + item.len()) as u64, place)?;
                    if at > 0 {
                        joined.push_str(&text);
                    }
                    joined.push_str(&item);
                }
                self.heap.text(joined, place)
            }
            "split" => {
                let [separator] = given.take(name, ["separator"], 0)?;
                let parts: Vec<&str> = match (separator, self.heap.str(separator)) {
                    (Value::Unset | Value::None, _) => text.split_whitespace().collect(),
                    (_, Some("")) => return Err(Fault::new(place, "nothing parts nothing").into()),
                    (_, Some(separator)) => text.split(separator).collect(),
                    (other, None) => return Err(self.heap.wrong("a string", other, place)),
                };
                let mut items = Vec::new();
                for part in parts {
                    items.push(self.heap.text(part, place)?);
                }
                self.heap.list(items, place)
            }
            "strip" | "upper" | "lower" => {
                let [] = given.take(name, [], 0)?;
                let changed = match name {
                    "strip" => text.trim().to_owned(),
                    "upper" => text.to_uppercase(),
                    _ => text.to_lowercase(),
                };
                self.heap.text(changed, place)
            }
            "startswith" | "endswith" => {
                let [part] = given.take(name, ["part"], 1)?;
                match self.heap.str(part) {
                    Some(part) if name == "startswith" => Ok(Value::Bool(text.starts_with(part))),
                    Some(part) => Ok(Value::Bool(text.ends_with(part))),
                    None => Err(self.heap.wrong("a string", part, place)),
                }
            }
            _ => Err(self.no_method(of, name, place)),
        }
    }

    fn no_method(&self, of: Value, name: &str, place: super::Place) -> super::heap::Stop {
        let fault = Fault::new(place, format!("{} has no `{name}`", self.heap.kind(of)));
        match of {
            Value::List(_) => fault.with_hint(format!("a list has {OF_LISTS}")),
            Value::Dict(_) => fault.with_hint(format!("a dict has {OF_DICTS}")),
            Value::Str(_) => fault.with_hint(format!("a string has {OF_STRINGS}")),
            _ => fault,
        }
        .into()
    }
}
