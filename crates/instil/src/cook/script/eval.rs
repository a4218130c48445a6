//! Running a script: its top level once, its functions for each sample.

use std::borrow::Cow;

use super::ast::{Arguments, Clause, Do, Expression, Function, Kind, Operator, Program, Statement};
use super::builtins::Given;
use super::declare::Declared;
use super::heap::{Frozen, Heap, Limits, Object, Run, Stop, Value};
use super::{Fault, Place, parse, resolve};

/// Reads a script and runs its top level: what it declares, and what its functions see.
pub(super) fn load(text: &str, limits: Limits) -> Result<(Program, Frozen, Vec<Declared>), Fault> {
    let fault = |stop: Stop| match stop {
        Stop::Fault(fault) | Stop::Fail(fault) => *fault,
        Stop::Redraw => Fault::new(Place { line: 1, column: 1 }, "`redraw()` at the top level")
            .with_hint("call it in `make`"),
    };
    let mut heap = Heap::new(&[], limits);
    let functions = parse::parse(text, &mut heap).map_err(fault)?;
    let program = resolve::resolve(functions).map_err(fault)?;
    let mut machine = Machine {
        program: &program,
        globals: Cow::Owned(vec![Value::Unset; program.globals.len()]),
        heap,
        stack: Vec::new(),
        base: 0,
        declared: Some(Vec::new()),
    };
    machine.run(0, Vec::new(), Place { line: 1, column: 1 }).map_err(fault)?;
    let mut declared = machine.declared.take().unwrap_or_default();
    for one in &mut declared {
        one.settle(&machine).map_err(fault)?;
    }
    let Machine { heap, globals, .. } = machine;
    let frozen = Frozen { objects: heap.into_objects(), globals: globals.into_owned() };
    Ok((program, frozen, declared))
}

/// What a statement does to the ones behind it.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

/// A script at work.
pub(super) struct Machine<'a> {
    program: &'a Program,
    globals: Cow<'a, [Value]>,
    pub(super) heap: Heap<'a>,
    /// The names of all calls under way, one call behind the other.
    stack: Vec<Value>,
    /// Where the names of the innermost call begin.
    base: usize,
    /// What the top level declared; none where it has run.
    pub(super) declared: Option<Vec<Declared>>,
}

impl<'a> Machine<'a> {
    /// A machine for one call of a script whose top level has run.
    pub(super) fn new(program: &'a Program, frozen: &'a Frozen, limits: Limits) -> Self {
        Self {
            program,
            globals: Cow::Borrowed(&frozen.globals),
            heap: Heap::new(&frozen.objects, limits),
            stack: Vec::new(),
            base: 0,
            declared: None,
        }
    }

    pub(super) fn function(&self, at: u32) -> &'a Function {
        &self.program.functions[at as usize]
    }

    /// The function of the top level with this name.
    pub(super) fn function_named(&self, name: &str) -> Option<u32> {
        let at = self.program.globals.iter().position(|global| global == name)?;
        match self.globals[at] {
            Value::Function(function) => Some(function),
            _ => None,
        }
    }

    /// Runs a function whose parameters have these values.
    pub(super) fn run(&mut self, function: u32, arguments: Vec<Value>, place: Place) -> Run<Value> {
        let of = self.function(function);
        self.heap.deeper(place)?;
        let base = std::mem::replace(&mut self.base, self.stack.len());
        self.stack.extend(arguments);
        self.stack.resize(self.base + of.locals, Value::Unset);
        let flow = self.block(&of.body)?;
        self.stack.truncate(self.base);
        self.base = base;
        self.heap.level -= 1;
        Ok(match flow {
            Flow::Return(value) => value,
            _ => Value::None,
        })
    }

    fn block(&mut self, body: &'a [Statement]) -> Run<Flow> {
        for statement in body {
            self.heap.spend(1, statement.place)?;
            let flow = match &statement.kind {
                Do::Expression(value) => {
                    self.value(value)?;
                    Flow::Next
                }
                Do::Assign(target, value) => {
                    let value = self.value(value)?;
                    self.assign(target, value)?;
                    Flow::Next
                }
                Do::Change(target, operator, value) => {
                    self.change(target, *operator, value, statement.place)?;
                    Flow::Next
                }
                Do::If(arms, rest) => self.branch(arms, rest)?,
                Do::For(target, over, inner) => self.each(target, over, inner)?,
                Do::Define(function, target) => {
                    self.assign(target, Value::Function(*function))?;
                    Flow::Next
                }
                Do::Return(None) => Flow::Return(Value::None),
                Do::Return(Some(value)) => Flow::Return(self.value(value)?),
                Do::Break => Flow::Break,
                Do::Continue => Flow::Continue,
                Do::Pass => Flow::Next,
            };
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, arms: &'a [(Expression, Vec<Statement>)], rest: &'a [Statement]) -> Run<Flow> {
        for (condition, inner) in arms {
            let is = self.value(condition)?;
            if self.heap.is_true(is) {
                self.heap.deeper(condition.place)?;
                let flow = self.block(inner)?;
                self.heap.level -= 1;
                return Ok(flow);
            }
        }
        let Some(first) = rest.first() else { return Ok(Flow::Next) };
        self.heap.deeper(first.place)?;
        let flow = self.block(rest)?;
        self.heap.level -= 1;
        Ok(flow)
    }

    fn each(&mut self, target: &'a Expression, over: &'a Expression, inner: &'a [Statement]) -> Run<Flow> {
        let all = self.value(over)?;
        self.heap.deeper(over.place)?;
        let mut at = 0;
        while let Some(item) = self.heap.nth(all, at, over.place)? {
            at += 1;
            self.heap.spend(1, over.place)?;
            self.assign(target, item)?;
            match self.block(inner)? {
                Flow::Break => break,
                Flow::Return(value) => {
                    self.heap.level -= 1;
                    return Ok(Flow::Return(value));
                }
                Flow::Next | Flow::Continue => {}
            }
        }
        self.heap.level -= 1;
        Ok(Flow::Next)
    }

    fn assign(&mut self, target: &'a Expression, value: Value) -> Run<()> {
        match &target.kind {
            Kind::Local(at) => self.stack[self.base + *at as usize] = value,
            Kind::Global(at) => self.globals.to_mut()[*at as usize] = value,
            Kind::Tuple(targets) | Kind::List(targets) => {
                let items = self.heap.all(value, target.place)?;
                if items.len() != targets.len() {
                    let why = format!("{} names for {} values", targets.len(), items.len());
                    return Err(Fault::new(target.place, why).into());
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item)?;
                }
            }
            Kind::Index(of, index) => {
                let of = self.value(of)?;
                let index = self.value(index)?;
                self.put(of, index, value, target.place)?;
            }
            _ => return Err(Fault::new(target.place, "nothing can be assigned to this").into()),
        }
        Ok(())
    }

    /// `target op= value`; a list grows where it is, as in Python.
    fn change(
        &mut self,
        target: &'a Expression,
        operator: Operator,
        value: &'a Expression,
        place: Place,
    ) -> Run<()> {
        if let Kind::Index(of, index) = &target.kind {
            let of = self.value(of)?;
            let index = self.value(index)?;
            let old = self.at(of, index, target.place)?;
            let value = self.value(value)?;
            let new = self.combine(operator, old, value, place)?;
            return self.put(of, index, new, target.place);
        }
        let old = self.value(target)?;
        let value = self.value(value)?;
        if let (Operator::Add, Value::List(list)) = (operator, old) {
            return self.extend(list, value, place);
        }
        let new = self.combine(operator, old, value, place)?;
        self.assign(target, new)
    }

    /// Appends all of something to a list.
    pub(super) fn extend(&mut self, list: u32, all: Value, place: Place) -> Run<()> {
        let items = self.heap.all(all, place)?;
        match self.heap.change(list, place)? {
            Object::List(list) => list.extend(items),
            _ => return Err(self.heap.wrong("a list", Value::List(list), place)),
        }
        Ok(())
    }

    /// `of[index] = value`.
    fn put(&mut self, of: Value, index: Value, value: Value, place: Place) -> Run<()> {
        match of {
            Value::Dict(dict) => self.heap.put(dict, index, value, place),
            Value::List(list) => {
                let at = self.place_in(of, index, place)?;
                if let Object::List(items) = self.heap.change(list, place)? {
                    items[at] = value;
                }
                Ok(())
            }
            _ => Err(self.heap.wrong("a list or a dict", of, place)),
        }
    }

    /// Where in a list an index points, from its end if it is less than 0.
    fn place_in(&self, of: Value, index: Value, place: Place) -> Run<usize> {
        let Value::Int(index) = index else { return Err(self.heap.wrong("a number", index, place)) };
        let len = self.heap.len(of).unwrap_or(0);
        let at = if index < 0 { index.saturating_add(len as i64) } else { index };
        usize::try_from(at).ok().filter(|at| *at < len).ok_or_else(|| {
            Fault::new(place, format!("there is no place {index} in {} of {len}", self.heap.kind(of)))
                .with_hint("places count from 0; look at `len(…)` first")
                .into()
        })
    }

    /// `of[index]`.
    fn at(&mut self, of: Value, index: Value, place: Place) -> Run<Value> {
        match of {
            Value::Dict(dict) => self.heap.get(dict, index, place)?.ok_or_else(|| {
                Fault::new(place, "the dict has no such key")
                    .with_hint("`.get(key)` gives None instead")
                    .into()
            }),
            Value::Str(_) => {
                let at = self.place_in(of, index, place)?;
                self.heap.spend(at / 16 + 1, place)?;
                let letter = self.heap.str(of).and_then(|text| text.chars().nth(at)).unwrap_or_default();
                self.heap.text(letter.to_string(), place)
            }
            _ => {
                if self.heap.len(of).is_none() {
                    return Err(self.heap.wrong("a list, a string or a dict", of, place));
                }
                let at = self.place_in(of, index, place)?;
                Ok(self.heap.nth(of, at, place)?.unwrap_or(Value::None))
            }
        }
    }

    pub(super) fn value(&mut self, expression: &'a Expression) -> Run<Value> {
        let place = expression.place;
        match &expression.kind {
            Kind::Constant(value) => return Ok(*value),
            Kind::Local(at) => {
                let value = self.stack[self.base + *at as usize];
                return if matches!(value, Value::Unset) { Err(no_value(place)) } else { Ok(value) };
            }
            Kind::Global(at) => {
                let value = self.globals[*at as usize];
                return if matches!(value, Value::Unset) { Err(no_value(place)) } else { Ok(value) };
            }
            Kind::Builtin(builtin) => return Ok(Value::Builtin(*builtin)),
            _ => {}
        }
        self.heap.spend(1, place)?;
        self.heap.deeper(place)?;
        let value = self.made(expression)?;
        self.heap.level -= 1;
        Ok(value)
    }

    /// The value of what is more than a name.
    fn made(&mut self, expression: &'a Expression) -> Run<Value> {
        let place = expression.place;
        match &expression.kind {
            Kind::List(items) => {
                let items = self.values(items)?;
                self.heap.list(items, place)
            }
            Kind::Tuple(items) => {
                let items = self.values(items)?;
                self.heap.tuple(items, place)
            }
            Kind::Dict(pairs) => self.pairs(pairs, place),
            Kind::Each { item, value, clauses } => self.comprehension(item, value.as_deref(), clauses, place),
            Kind::Either { condition, yes, no } => {
                let is = self.value(condition)?;
                self.value(if self.heap.is_true(is) { yes } else { no })
            }
            Kind::And(a, b) => {
                let a = self.value(a)?;
                if self.heap.is_true(a) { self.value(b) } else { Ok(a) }
            }
            Kind::Or(a, b) => {
                let a = self.value(a)?;
                if self.heap.is_true(a) { Ok(a) } else { self.value(b) }
            }
            Kind::Not(inner) => {
                let inner = self.value(inner)?;
                Ok(Value::Bool(!self.heap.is_true(inner)))
            }
            Kind::Negative(inner) => match self.value(inner)? {
                Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(|| too_large(place)),
                other => Err(self.heap.wrong("a number", other, place)),
            },
            Kind::Binary(operator, a, b) => {
                let a = self.value(a)?;
                let b = self.value(b)?;
                self.combine(*operator, a, b, place)
            }
            Kind::Index(of, index) => {
                let of = self.value(of)?;
                let index = self.value(index)?;
                self.at(of, index, place)
            }
            Kind::Slice(of, bounds) => self.slice(of, bounds, place),
            Kind::Call(function, arguments) => {
                let function = self.value(function)?;
                let given = self.given(arguments, place)?;
                self.call(function, given)
            }
            Kind::Method(of, name, arguments) => {
                let of = self.value(of)?;
                let given = self.given(arguments, place)?;
                self.method(of, name, given)
            }
            // `value` has them.
            Kind::Constant(_) | Kind::Name(_) | Kind::Local(_) | Kind::Global(_) | Kind::Builtin(_) => {
                Err(no_value(place))
            }
        }
    }

    fn values(&mut self, items: &'a [Expression]) -> Run<Vec<Value>> {
        items.iter().map(|item| self.value(item)).collect()
    }

    fn pairs(&mut self, pairs: &'a [(Expression, Expression)], place: Place) -> Run<Value> {
        let made = self.heap.dict(place)?;
        let Value::Dict(dict) = made else { return Ok(made) };
        for (key, value) in pairs {
            let at = key.place;
            let key = self.value(key)?;
            let value = self.value(value)?;
            self.heap.put(dict, key, value, at)?;
        }
        Ok(made)
    }

    fn given(&mut self, arguments: &'a Arguments, place: Place) -> Run<Given<'a>> {
        let plain = self.values(&arguments.plain)?;
        let mut named = Vec::with_capacity(arguments.named.len());
        for (name, value) in &arguments.named {
            named.push((name.as_str(), self.value(value)?));
        }
        Ok(Given { place, plain, named })
    }

    /// Calls what should be a function.
    pub(super) fn call(&mut self, function: Value, given: Given<'a>) -> Run<Value> {
        match function {
            Value::Builtin(builtin) => builtin.call(self, given),
            Value::Function(at) => {
                let of = self.function(at);
                let mut arguments = vec![Value::Unset; of.parameters.len()];
                if given.plain.len() > arguments.len() {
                    let (most, count) = (arguments.len(), given.plain.len());
                    return Err(Fault::new(
                        given.place,
                        format!("`{}` takes {most} values, not {count}", of.name),
                    )
                    .into());
                }
                arguments[..given.plain.len()].copy_from_slice(&given.plain);
                for (name, value) in &given.named {
                    let at = of.parameters.iter().position(|parameter| parameter.name == *name);
                    match at.map(|at| &mut arguments[at]) {
                        Some(argument @ Value::Unset) => *argument = *value,
                        Some(_) => {
                            return Err(Fault::new(given.place, format!("`{name}` is given twice")).into());
                        }
                        None => {
                            let why = format!("`{}` has no parameter `{name}`", of.name);
                            return Err(Fault::new(given.place, why).into());
                        }
                    }
                }
                for (argument, parameter) in arguments.iter_mut().zip(&of.parameters) {
                    if let Value::Unset = argument {
                        *argument = parameter.default.ok_or_else(|| {
                            Fault::new(given.place, format!("`{}` needs `{}`", of.name, parameter.name))
                        })?;
                    }
                }
                self.run(at, arguments, given.place)
            }
            other => Err(self.heap.wrong("a function", other, given.place)),
        }
    }

    fn comprehension(
        &mut self,
        item: &'a Expression,
        value: Option<&'a Expression>,
        clauses: &'a [Clause],
        place: Place,
    ) -> Run<Value> {
        let made =
            if value.is_some() { self.heap.dict(place)? } else { self.heap.list(Vec::new(), place)? };
        self.turn(item, value, clauses, made)?;
        Ok(made)
    }

    fn turn(
        &mut self,
        item: &'a Expression,
        value: Option<&'a Expression>,
        clauses: &'a [Clause],
        made: Value,
    ) -> Run<()> {
        match clauses.split_first() {
            None => {
                let at = item.place;
                let item = self.value(item)?;
                match (made, value) {
                    (Value::Dict(dict), Some(value)) => {
                        let value = self.value(value)?;
                        self.heap.put(dict, item, value, at)
                    }
                    (Value::List(list), _) => self.push(list, item, at),
                    _ => Ok(()),
                }
            }
            Some((Clause::If(condition), rest)) => {
                let is = self.value(condition)?;
                if self.heap.is_true(is) { self.turn(item, value, rest, made) } else { Ok(()) }
            }
            Some((Clause::For(target, over), rest)) => {
                let all = self.value(over)?;
                let mut at = 0;
                self.heap.deeper(over.place)?;
                while let Some(one) = self.heap.nth(all, at, over.place)? {
                    at += 1;
                    self.heap.spend(1, over.place)?;
                    self.assign(target, one)?;
                    self.turn(item, value, rest, made)?;
                }
                self.heap.level -= 1;
                Ok(())
            }
        }
    }

    /// Appends one value to a list.
    pub(super) fn push(&mut self, list: u32, item: Value, place: Place) -> Run<()> {
        self.heap.elements(1, place)?;
        if let Object::List(items) = self.heap.change(list, place)? {
            items.push(item);
        }
        Ok(())
    }

    fn slice(
        &mut self,
        of: &'a Expression,
        bounds: &'a [Option<Box<Expression>>; 3],
        place: Place,
    ) -> Run<Value> {
        let of = self.value(of)?;
        let mut given = [None; 3];
        for (bound, given) in bounds.iter().zip(&mut given) {
            if let Some(bound) = bound {
                *given = match self.value(bound)? {
                    Value::Int(number) => Some(number),
                    Value::None => None,
                    other => return Err(self.heap.wrong("a number", other, bound.place)),
                };
            }
        }
        let Some(len) = self.heap.len(of).filter(|_| self.heap.pairs(of).is_none()) else {
            return Err(self.heap.wrong("a list or a string", of, place));
        };
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        let step = given[2].unwrap_or(1);
        if step == 0 {
            return Err(Fault::new(place, "a slice in steps of 0").into());
        }
        let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
        let bound = |at: Option<i64>, default: i64| match at {
            None => default,
            Some(at) if at < 0 => at.saturating_add(len).clamp(low, high),
            Some(at) => at.clamp(low, high),
        };
        let (from, to) = if step > 0 {
            (bound(given[0], 0), bound(given[1], len))
        } else {
            (bound(given[0], len - 1), bound(given[1], -1))
        };
        let count =
            if step > 0 { steps_in(to - from, step) } else { steps_in(from - to, step.saturating_neg()) };
        if let Value::Str(_) = of {
            self.heap.spend(len as usize / 16 + 1, place)?;
            let letters: Vec<char> = self.heap.str(of).unwrap_or_default().chars().collect();
            let text: String = (0..count).map(|at| letters[(from + at * step) as usize]).collect();
            return self.heap.text(text, place);
        }
        // Counted before it is taken: a range is longer than memory.
        self.heap.reserve((count as u64).saturating_mul(16), place)?;
        let mut items = Vec::with_capacity(count as usize);
        for at in 0..count {
            items.extend(self.heap.nth(of, (from + at * step) as usize, place)?);
        }
        if let Value::Tuple(_) = of { self.heap.tuple(items, place) } else { self.heap.list(items, place) }
    }

    /// `a operator b`.
    pub(super) fn combine(&mut self, operator: Operator, a: Value, b: Value, place: Place) -> Run<Value> {
        use std::cmp::Ordering::{Greater, Less};
        let is = match operator {
            Operator::Equal => self.heap.equal(a, b, place)?,
            Operator::Differs => !self.heap.equal(a, b, place)?,
            Operator::Less => self.heap.order(a, b, place)? == Less,
            Operator::AtMost => self.heap.order(a, b, place)? != Greater,
            Operator::Greater => self.heap.order(a, b, place)? == Greater,
            Operator::AtLeast => self.heap.order(a, b, place)? != Less,
            Operator::In => self.is_in(a, b, place)?,
            Operator::NotIn => !self.is_in(a, b, place)?,
            _ => return self.arithmetic(operator, a, b, place),
        };
        Ok(Value::Bool(is))
    }

    /// Whether `a` is an element of `b`, a key of it, or a part of its text.
    fn is_in(&mut self, a: Value, b: Value, place: Place) -> Run<bool> {
        match b {
            Value::Dict(dict) => Ok(self.heap.get(dict, a, place)?.is_some()),
            Value::Str(_) => {
                self.heap.spend(self.heap.len(b).unwrap_or(0) / 16 + 1, place)?;
                match (self.heap.str(a), self.heap.str(b)) {
                    (Some(a), Some(b)) => Ok(b.contains(a)),
                    _ => Err(self.heap.wrong("a string", a, place)),
                }
            }
            _ => {
                let mut at = 0;
                while let Some(item) = self.heap.nth(b, at, place)? {
                    at += 1;
                    if self.heap.equal(a, item, place)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn arithmetic(&mut self, operator: Operator, a: Value, b: Value, place: Place) -> Run<Value> {
        match (operator, a, b) {
            (_, Value::Int(a), Value::Int(b)) => {
                if b == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
                    return Err(Fault::new(place, "a division by 0").into());
                }
                let number = match operator {
                    Operator::Add => a.checked_add(b),
                    Operator::Subtract => a.checked_sub(b),
                    Operator::Multiply => a.checked_mul(b),
                    // Rounded down, as in Python.
                    Operator::Divide => {
                        a.checked_div(b).map(|whole| whole - i64::from(a % b != 0 && (a < 0) != (b < 0)))
                    }
                    _ => a
                        .checked_rem(b)
                        .map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
                };
                number.map(Value::Int).ok_or_else(|| too_large(place))
            }
            (Operator::Add, Value::Str(_), Value::Str(_)) => {
                let len = |value| self.heap.str(value).map_or(0, str::len);
                self.heap.reserve((len(a) + len(b)) as u64, place)?;
                let text = [a, b].map(|value| self.heap.str(value).unwrap_or_default()).concat();
                self.heap.text(text, place)
            }
            (Operator::Add, Value::List(_), Value::List(_))
            | (Operator::Add, Value::Tuple(_), Value::Tuple(_)) => {
                let mut items = self.heap.all(a, place)?;
                items.extend(self.heap.all(b, place)?);
                if let Value::List(_) = a {
                    self.heap.list(items, place)
                } else {
                    self.heap.tuple(items, place)
                }
            }
            (Operator::Multiply, Value::Str(_) | Value::List(_) | Value::Tuple(_), Value::Int(times))
            | (Operator::Multiply, Value::Int(times), Value::Str(_) | Value::List(_) | Value::Tuple(_)) => {
                let of = if let Value::Int(_) = a { b } else { a };
                let times = usize::try_from(times).unwrap_or(0);
                if let Value::Str(_) = of {
                    let len = self.heap.str(of).map_or(0, str::len);
                    self.heap.reserve((len as u64).saturating_mul(times as u64), place)?;
                    let text = self.heap.str(of).unwrap_or_default().repeat(times);
                    return self.heap.text(text, place);
                }
                let items = self.heap.all(of, place)?;
                self.heap.reserve((16 * items.len() as u64).saturating_mul(times as u64), place)?;
                // An empty list is empty however often it is repeated.
                let items = if items.is_empty() { items } else { items.repeat(times) };
                if let Value::Tuple(_) = of {
                    self.heap.tuple(items, place)
                } else {
                    self.heap.list(items, place)
                }
            }
            _ => {
                let (a, b) = (self.heap.kind(a), self.heap.kind(b));
                let fault =
                    Fault::new(place, format!("`{}` has no meaning between {a} and {b}", operator.sign()));
                Err(fault.with_hint("`str(…)` makes a string of a number, `list(…)` a list").into())
            }
        }
    }
}

/// How many steps of this length lie in a length.
fn steps_in(len: i64, step: i64) -> i64 {
    let len = len.max(0);
    len / step + i64::from(len % step != 0)
}

fn no_value(place: Place) -> Stop {
    Fault::new(place, "this name has no value yet")
        .with_hint("assign to it before, on every way that leads here")
        .into()
}

fn too_large(place: Place) -> Stop {
    Fault::new(place, "the number has more than 63 bits")
        .with_hint("numbers go from -2^63 to 2^63 - 1")
        .into()
}
