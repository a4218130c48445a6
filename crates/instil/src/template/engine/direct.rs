//! Code that is run without minijinja's machine, which costs more than most templates do.
//!
//! Most templates are texts, fields, branches and loops. Their instructions are run here on borrowed values,
//! with the functions that the machine calls as well, so that both give the same. Whatever else there is,
//! and everything that fails, is left to the machine: it says what is wrong, and where.

use std::borrow::Cow;
use std::collections::BTreeMap;

use minijinja::machinery::{Instruction, Instructions};
use minijinja::value::Tuple;
use minijinja::{Environment, State, Value};

use super::filters::{self, Filter};
use super::operators::{self, item, place};
use super::row::{CHOICES, Draws, Row};
use super::values::{List, Outcome, Shape, copy, items, length, shape};
use super::{checks, functions, methods, python};

/// How many steps are taken before the machine takes over, which counts them itself. None of them is more
/// than three of the machine's, so that it never runs out of fuel where this didn't.
const MOST_STEPS: usize = 1_000_000;

/// The instructions of a template, with the names in them looked up.
pub(super) struct Direct {
    steps: Vec<Step>,
    /// How many places there are for the names that are set.
    slots: usize,
}

enum Step {
    Text(Box<str>),
    Print,
    PrintField(Box<str>),
    Const(Value),
    Field(Box<str>),
    Choices,
    /// The first of these places that is set, else the field.
    Name(Box<[usize]>, Box<str>),
    Store(usize),
    /// Begins a frame: these places are not set yet.
    Clear(std::ops::Range<usize>),
    Attribute(Box<str>),
    Item,
    Unary(fn(&Value) -> Outcome),
    Binary(fn(&Value, &Value) -> Outcome),
    Slice,
    List(usize),
    Dict(usize),
    Tuple(usize),
    Filter(Filter, usize),
    Check(checks::Check, usize),
    Method(&'static str, usize),
    /// A function by its name, which a field may have as well.
    Function(Box<str>, Value, usize),
    /// An item at random; whether nothing comes of an empty value.
    Draw {
        lenient: bool,
    },
    /// The item that was drawn from a constant.
    Chosen,
    Not,
    Swap,
    Discard,
    Duplicate,
    Jump(usize),
    JumpIfFalse(usize),
    JumpIfFalseOrPop(usize),
    JumpIfTrueOrPop(usize),
    Begin,
    Next(usize),
    End,
    DidNotIterate,
    Unpack(usize),
    Loop(LoopPart),
}

/// What a body asks of its loop.
#[derive(Clone, Copy)]
enum LoopPart {
    Index,
    Index0,
    First,
    Last,
    Length,
}

/// The names that are set in one frame, with their places.
type Frame = BTreeMap<&'static str, usize>;

/// What one rendering sees.
pub(super) struct Scene<'a> {
    pub(super) row: &'a Row,
    /// `None` while the answers themselves are rendered.
    pub(super) choices: Option<&'a Value>,
    /// The items of `choices`, where they are the same for every row: nothing has to be locked for them.
    pub(super) fixed_choices: &'a [Value],
    /// What was drawn from constants, before anything else.
    pub(super) fixed: &'a [usize],
    /// Whether the template changes lists or dictionaries, so that it gets copies of the row's.
    pub(super) copies: bool,
    pub(super) draws: &'a mut Draws,
    pub(super) env: &'static Environment<'static>,
}

impl Direct {
    /// The code of a template; `None` where it holds what only the machine does.
    pub(super) fn of(code: &Instructions<'static>, env: &Environment<'static>) -> Option<Self> {
        let mut reader = Reader { frames: vec![Frame::new()], ..Reader::default() };
        let mut steps = Vec::new();
        // Where each instruction begins among the steps.
        let mut places = Vec::new();
        let mut targets = Vec::new();
        let mut at = 0;
        while let Some(instruction) = code.get(at) {
            if let Some(to) = target(instruction) {
                targets.push(to);
            }
            at += 1;
        }
        at = 0;
        while let Some(instruction) = code.get(at) {
            // Two instructions that nothing jumps between are one step.
            let is_target = |at: u32| targets.contains(&at);
            let next =
                |ahead: u32| code.get(at + ahead).filter(|_| (at + 1..=at + ahead).all(|at| !is_target(at)));
            places.push(steps.len());
            let (step, width) = reader.step(instruction, next, steps.len(), env)?;
            steps.push(step);
            places.extend(std::iter::repeat_n(steps.len(), width - 1));
            at += u32::try_from(width).ok()?;
        }
        places.push(steps.len());
        for step in &mut steps {
            match step {
                Step::Jump(to)
                | Step::JumpIfFalse(to)
                | Step::JumpIfFalseOrPop(to)
                | Step::JumpIfTrueOrPop(to)
                | Step::Next(to) => *to = *places.get(*to)?,
                _ => {}
            }
        }
        for (step, range) in reader.cleared {
            steps[step] = Step::Clear(range);
        }
        Some(Self { steps, slots: reader.slots })
    }
}

fn target(instruction: &Instruction<'_>) -> Option<u32> {
    use Instruction as I;
    match instruction {
        I::Jump(to)
        | I::JumpIfFalse(to)
        | I::JumpIfFalseOrPop(to)
        | I::JumpIfTrueOrPop(to)
        | I::Iterate(to) => Some(*to),
        _ => None,
    }
}

/// What is known on the way through the instructions.
#[derive(Default)]
struct Reader {
    frames: Vec<Frame>,
    slots: usize,
    /// How many loops are open.
    loops: usize,
    /// The steps that begin the open frames of `with`, and how many places there were.
    open: Vec<(usize, usize)>,
    /// The steps that begin a frame, with the places of all names that are set before its end.
    cleared: Vec<(usize, std::ops::Range<usize>)>,
}

impl Reader {
    /// The step that the instruction is, and of how many instructions it is made; `next` gives those after
    /// it. Jumps still go to instructions.
    fn step<'i>(
        &mut self,
        instruction: &'i Instruction<'static>,
        next: impl Fn(u32) -> Option<&'i Instruction<'static>>,
        place: usize,
        env: &Environment<'static>,
    ) -> Option<(Step, usize)> {
        use Instruction as I;
        let to = |to: &u32| usize::try_from(*to).ok();
        let one = match instruction {
            I::LoadConst(value) => match (value.as_str(), next(1)) {
                (Some(text), Some(I::Emit)) => return Some((Step::Text(text.into()), 2)),
                _ => Step::Const(value.clone()),
            },
            I::Emit => Step::Print,
            I::Lookup("loop") if self.loops > 0 => {
                let (name, width) = match (next(1)?, next(2)) {
                    (I::GetAttr(name), _) => (*name, 2),
                    (I::LoadConst(name), Some(I::ApplyFilter("attribute", ..))) => (name.as_str()?, 3),
                    _ => return None,
                };
                let part = match name {
                    "index" => LoopPart::Index,
                    "index0" => LoopPart::Index0,
                    "first" => LoopPart::First,
                    "last" => LoopPart::Last,
                    "length" => LoopPart::Length,
                    _ => return None,
                };
                return Some((Step::Loop(part), width));
            }
            I::Lookup("loop" | "self" | "super" | "caller") => return None,
            I::Lookup(name) if functions::FUNCTIONS.contains(name) => return None,
            I::Lookup(name) => {
                let slots: Box<[usize]> =
                    self.frames.iter().rev().filter_map(|frame| frame.get(name).copied()).collect();
                match (slots.is_empty(), *name, next(1)) {
                    (true, CHOICES, _) => Step::Choices,
                    (true, name, Some(I::Emit)) => return Some((Step::PrintField(name.into()), 2)),
                    (true, name, _) => Step::Field(name.into()),
                    (false, CHOICES, _) => return None,
                    (false, name, _) => Step::Name(slots, name.into()),
                }
            }
            I::StoreLocal("loop") => return None,
            I::StoreLocal(name) => {
                let slots = &mut self.slots;
                let slot = *self.frames.last_mut()?.entry(name).or_insert_with(|| {
                    *slots += 1;
                    *slots - 1
                });
                Step::Store(slot)
            }
            I::PushWith => {
                self.frames.push(Frame::new());
                self.open.push((place, self.slots));
                Step::Clear(0..0)
            }
            I::PopFrame => {
                self.frames.pop()?;
                let (begin, first) = self.open.pop()?;
                self.cleared.push((begin, first..self.slots));
                Step::Clear(first..self.slots)
            }
            I::GetAttr(name) => Step::Attribute((*name).into()),
            I::BuildTuple(Some(count)) => Step::Tuple(*count),
            I::ApplyFilter("[]", Some(count), _) => Step::List(usize::from(*count)),
            I::ApplyFilter("{}", Some(count), _) => Step::Dict(usize::from(*count)),
            I::ApplyFilter("slice[]", Some(4), _) => Step::Slice,
            I::ApplyFilter("item", Some(2), _) => Step::Item,
            I::ApplyFilter("chosen", Some(2), _) => Step::Chosen,
            I::ApplyFilter("choice", Some(1), _) => Step::Draw { lenient: false },
            I::ApplyFilter("random", Some(1), _) => Step::Draw { lenient: true },
            I::ApplyFilter(name, count, _) => match (operators::of(name), count) {
                (Some(operators::Operator::Unary(operator)), Some(1)) => Step::Unary(operator),
                (Some(operators::Operator::Binary(operator)), Some(2)) => Step::Binary(operator),
                (Some(_), _) => return None,
                (None, count) => Step::Filter(filters::of(name)?, usize::from((*count)?)),
            },
            I::PerformTest(name, count, _) => Step::Check(checks::of(name)?, usize::from((*count)?)),
            I::CallMethod(name, count) => Step::Method(name, usize::from((*count)?)),
            I::CallFunction(name, count) => {
                if !functions::FUNCTIONS.contains(name)
                    || self.frames.iter().any(|frame| frame.contains_key(name))
                {
                    return None;
                }
                let function = env.empty_state().lookup(name)?;
                Step::Function((*name).into(), function, usize::from((*count)?))
            }
            I::Not => Step::Not,
            I::Swap => Step::Swap,
            I::DiscardTop => Step::Discard,
            I::DupTop => Step::Duplicate,
            I::Jump(at) => Step::Jump(to(at)?),
            I::JumpIfFalse(at) => Step::JumpIfFalse(to(at)?),
            I::JumpIfFalseOrPop(at) => Step::JumpIfFalseOrPop(to(at)?),
            I::JumpIfTrueOrPop(at) => Step::JumpIfTrueOrPop(to(at)?),
            I::PushLoop(_) => {
                self.frames.push(Frame::new());
                self.loops += 1;
                Step::Begin
            }
            I::Iterate(at) => Step::Next(to(at)?),
            I::PopLoopFrame => {
                self.frames.pop()?;
                self.loops = self.loops.checked_sub(1)?;
                Step::End
            }
            I::PushDidNotIterate => Step::DidNotIterate,
            I::UnpackList(count) => Step::Unpack(*count),
            _ => return None,
        };
        Some((one, 1))
    }
}

/// A value of the row, of the code, or made on the way.
type Held<'a> = Cow<'a, Value>;

/// A loop and the item that it is at.
struct Round<'a> {
    items: Vec<Value>,
    next: usize,
    /// What `items` are of, where it may change.
    list: Option<Held<'a>>,
}

impl Direct {
    /// Renders; `None` where the machine has to do it all over, with nothing drawn yet.
    pub(super) fn run<'a>(&'a self, scene: &mut Scene<'a>, out: &mut String) -> Option<()> {
        let mut run = Run {
            scene,
            stack: Vec::new(),
            locals: vec![None; self.slots],
            rounds: Vec::new(),
            copied: Vec::new(),
            state: None,
        };
        let mut at = 0;
        for _ in 0..MOST_STEPS {
            let Some(step) = self.steps.get(at) else { return Some(()) };
            at = run.step(step, at, out)?;
        }
        None
    }
}

struct Run<'a, 'scene> {
    scene: &'scene mut Scene<'a>,
    stack: Vec<Held<'a>>,
    locals: Vec<Option<Held<'a>>>,
    rounds: Vec<Round<'a>>,
    /// Copies of fields, where the template changes them.
    copied: Vec<(&'a str, Value)>,
    /// What filters and methods are called with; they find nothing to draw from in it.
    state: Option<State<'static, 'static>>,
}

static UNDEFINED: Value = Value::UNDEFINED;

impl<'a> Run<'a, '_> {
    /// Takes a step and says which is the next.
    fn step(&mut self, step: &'a Step, at: usize, out: &mut String) -> Option<usize> {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::PrintField(name) => {
                let value = self.field(name)?;
                print(out, &value)?;
            }
            Step::Print => {
                let value = self.pop()?;
                print(out, &value)?;
            }
            Step::Const(value) => self.stack.push(Cow::Borrowed(value)),
            Step::Field(name) => {
                let field = self.field(name)?;
                self.stack.push(field);
            }
            Step::Choices => self.stack.push(Cow::Borrowed(self.scene.choices.unwrap_or(&UNDEFINED))),
            Step::Name(slots, name) => {
                let local = slots.iter().find_map(|slot| self.locals.get(*slot)?.clone());
                let value = match local {
                    Some(local) => local,
                    None => self.field(name)?,
                };
                self.stack.push(value);
            }
            Step::Store(slot) => {
                let value = self.pop()?;
                *self.locals.get_mut(*slot)? = Some(value);
            }
            Step::Clear(slots) => self.locals.get_mut(slots.clone())?.fill(None),
            Step::Attribute(name) => {
                let value = self.pop()?.get_attr(name).ok()?;
                self.push(value);
            }
            Step::Item => {
                let (value, key) = self.two()?;
                let found = self.item(value, &key)?;
                self.stack.push(found);
            }
            Step::Unary(operator) => {
                let value = operator(&*self.pop()?).ok()?;
                self.push(value);
            }
            Step::Binary(operator) => {
                let (a, b) = self.two()?;
                self.push(operator(&a, &b).ok()?);
            }
            Step::Slice => {
                let bounds = self.take(3)?;
                let value = self.pop()?;
                self.push(operators::slice(&value, &bounds[0], &bounds[1], &bounds[2]).ok()?);
            }
            Step::Dict(count) => {
                let items = self.take(*count)?;
                self.push(operators::dict(&items));
            }
            Step::List(count) => {
                let items = self.take(*count)?;
                self.push(List::value(items));
            }
            Step::Tuple(count) => {
                let items = self.take(*count)?;
                self.push(Value::from(Tuple::from(items)));
            }
            Step::Filter(filter, count) => {
                let arguments = self.take(*count)?;
                let value = filter(self.state(), &arguments).ok()?;
                self.push(value);
            }
            Step::Check(check, count) => {
                let arguments = self.take(*count)?;
                let (value, more) =
                    arguments.split_first().filter(|_| !arguments.iter().any(Value::is_kwargs))?;
                let holds = check(value, more).ok()?;
                self.push(Value::from(holds));
            }
            Step::Method(name, count) => {
                let arguments = self.take(*count)?;
                let (value, more) = arguments.split_first()?;
                let state = self.state();
                let result = match shape(value) {
                    // They have none of minijinja's own, and the error that says so takes its time.
                    Shape::Str(_) | Shape::List(_) => methods::call(state, value, name, more),
                    _ => value.call_method(state, name, more),
                };
                self.push(result.ok()?);
            }
            Step::Function(name, function, count) => {
                if self.scene.row.get(name).is_some() {
                    return None;
                }
                let arguments = self.take(*count)?;
                let result = function.call(self.state(), &arguments).ok()?;
                self.push(result);
            }
            Step::Draw { lenient } => {
                let value = self.pop()?;
                let drawn = self.draw(value, *lenient)?;
                self.stack.push(drawn);
            }
            Step::Chosen => {
                let (value, number) = self.two()?;
                let index = *self.scene.fixed.get(number.as_usize()?)?;
                let drawn = item(&value, &Value::from(index)).ok()?;
                self.push(drawn);
            }
            Step::Not => {
                let holds = self.pop()?.is_true();
                self.push(Value::from(!holds));
            }
            Step::Swap => {
                let (a, b) = self.two()?;
                self.stack.extend([b, a]);
            }
            Step::Discard => drop(self.pop()?),
            Step::Duplicate => {
                let top = self.stack.last()?.clone();
                self.stack.push(top);
            }
            Step::Jump(to) => return Some(*to),
            Step::JumpIfFalse(to) => {
                if !self.pop()?.is_true() {
                    return Some(*to);
                }
            }
            Step::JumpIfFalseOrPop(to) => {
                if !self.stack.last()?.is_true() {
                    return Some(*to);
                }
                self.stack.pop();
            }
            Step::JumpIfTrueOrPop(to) => {
                if self.stack.last()?.is_true() {
                    return Some(*to);
                }
                self.stack.pop();
            }
            Step::Begin => {
                let value = self.pop()?;
                let items = items(&value).ok()?;
                let list = self.scene.copies.then_some(value);
                self.rounds.push(Round { items, next: 0, list });
            }
            Step::Next(end) => {
                let round = self.rounds.last_mut()?;
                if let Some(Shape::List(list)) = round.list.as_deref().map(shape) {
                    let now = list.items();
                    // The machine knows what becomes of a list that grows or shrinks under a loop.
                    if now.len() != round.items.len() {
                        return None;
                    }
                    if let (Some(item), Some(now)) = (round.items.get_mut(round.next), now.get(round.next)) {
                        *item = now.clone();
                    }
                }
                let Some(item) = round.items.get(round.next).cloned() else { return Some(*end) };
                round.next += 1;
                self.push(item);
            }
            Step::End => drop(self.rounds.pop()?),
            Step::DidNotIterate => {
                let is_empty = self.rounds.last()?.items.is_empty();
                self.push(Value::from(is_empty));
            }
            Step::Unpack(count) => {
                let value = self.pop()?;
                let parts = match shape(&value) {
                    Shape::List(_) | Shape::Tuple(_) => items(&value).ok()?,
                    _ => return None,
                };
                if parts.len() != *count {
                    return None;
                }
                self.stack.extend(parts.into_iter().rev().map(Cow::Owned));
            }
            Step::Loop(part) => {
                let Round { items, next, .. } = self.rounds.last()?;
                let value = match part {
                    LoopPart::Index => Value::from(*next),
                    LoopPart::Index0 => Value::from(next.checked_sub(1)?),
                    LoopPart::First => Value::from(*next == 1),
                    LoopPart::Last => Value::from(*next == items.len()),
                    LoopPart::Length => Value::from(items.len()),
                };
                self.push(value);
            }
        }
        Some(at + 1)
    }

    fn field(&mut self, name: &'a str) -> Option<Held<'a>> {
        let value = self.scene.row.get(name).unwrap_or(&UNDEFINED);
        if !self.scene.copies || value.as_object().is_none() {
            return Some(Cow::Borrowed(value));
        }
        if let Some((_, copied)) = self.copied.iter().find(|(own, _)| *own == name) {
            return Some(Cow::Owned(copied.clone()));
        }
        let copied = copy(value, 0).ok()?;
        self.copied.push((name, copied.clone()));
        Some(Cow::Owned(copied))
    }

    fn state(&mut self) -> &mut State<'static, 'static> {
        let env = self.scene.env;
        self.state.get_or_insert_with(|| env.empty_state())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(Cow::Owned(value));
    }

    fn pop(&mut self) -> Option<Held<'a>> {
        self.stack.pop()
    }

    fn two(&mut self) -> Option<(Held<'a>, Held<'a>)> {
        let second = self.stack.pop()?;
        Some((self.stack.pop()?, second))
    }

    /// The topmost values, in the order in which they were put there.
    fn take(&mut self, count: usize) -> Option<Vec<Value>> {
        let from = self.stack.len().checked_sub(count)?;
        Some(self.stack.drain(from..).map(Cow::into_owned).collect())
    }

    fn item(&self, value: Held<'a>, key: &Value) -> Option<Held<'a>> {
        let is_choices = matches!((&value, self.scene.choices), (Cow::Borrowed(value), Some(all)) if std::ptr::eq(*value, all));
        let fixed = self.scene.fixed_choices;
        match shape(key) {
            Shape::Int(index) if is_choices && !fixed.is_empty() => {
                Some(Cow::Borrowed(place(index, fixed.len()).map_or(&UNDEFINED, |at| &fixed[at])))
            }
            _ => item(&value, key).ok().map(Cow::Owned),
        }
    }

    fn draw(&mut self, value: Held<'a>, lenient: bool) -> Option<Held<'a>> {
        match (shape(&value), length(&value).ok()?) {
            (_, 0) if lenient => Some(Cow::Borrowed(&UNDEFINED)),
            (Shape::List(_) | Shape::Tuple(_) | Shape::Str(_) | Shape::Range(_), len @ 1..) => {
                let index = self.scene.draws.draw(len).ok().filter(|index| *index < len)?;
                self.item(value, &Value::from(index))
            }
            _ => None,
        }
    }
}

/// Prints `str(value)`.
fn print(out: &mut String, value: &Value) -> Option<()> {
    match value.as_str() {
        Some(text) => out.push_str(text),
        None => python::str_to(out, value).ok()?,
    }
    Some(())
}
