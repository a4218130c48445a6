//! From Jinja to minijinja's instructions with Python's operators in them.
//!
//! minijinja parses, and runs what comes out: its own scopes, loops, macros and fuel. Between the two every
//! instruction that computes (`+`, `==`, `[…]`, a list display …) is replaced by a call of the filter that
//! computes it as Python does.

use std::collections::{BTreeMap, HashSet};
use std::sync::{LazyLock, Mutex, PoisonError};

use minijinja::machinery::{CodeGenerator, Instruction, Instructions, Token, ast, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::methods::{CHANGING, is_method};

/// What runs.
pub(super) struct Code {
    pub(super) instructions: Instructions<'static>,
    pub(super) blocks: BTreeMap<&'static str, Instructions<'static>>,
    /// Whether a method is called that changes what it is called on.
    pub(super) changes: bool,
    /// The bytes of plain text in it.
    pub(super) plain: usize,
    /// Among how many each `choice` of a constant draws. Jinja2 draws these while it compiles,
    /// which the package does at every rendering: once, in the order of the text, in branches that aren't
    /// taken as well, and for all passes of a loop together.
    pub(super) fixed: Vec<usize>,
}

/// How many operators may follow each other, how many `elif` a template may have, since each is a level of
/// recursion in the compiler.
const LONGEST_CHAIN: usize = 250;

/// How many filters minijinja numbers.
const MOST_LOCALS: u8 = 50;

/// The template's syntax tree.
///
/// # Errors
/// When it is no Jinja, or so long in one piece that it can't be compiled safely.
pub(super) fn tree(text: &str) -> Result<ast::Stmt<'_>, Error> {
    tree_with(text, SyntaxConfig::default())
}

/// As [`tree`], with other rules for white space.
///
/// # Errors
/// As there.
pub(super) fn tree_with(text: &str, syntax: SyntaxConfig) -> Result<ast::Stmt<'_>, Error> {
    check_chains(text)?;
    parse(text, "template", syntax)
}

fn check_chains(text: &str) -> Result<(), Error> {
    let (mut operators, mut branches) = (0, 0);
    for token in tokenize(text, false, SyntaxConfig::default()) {
        // What isn't a token is told by the parser.
        let Ok((token, _)) = token else { return Ok(()) };
        match token {
            Token::VariableStart | Token::BlockStart | Token::Comma => operators = 0,
            Token::Ident("elif") => branches += 1,
            Token::Ident("endif") => branches = 0,
            Token::Ident("and" | "or" | "if" | "is" | "not" | "in")
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Mod
            | Token::Pow
            | Token::Tilde
            | Token::Pipe
            | Token::Dot
            | Token::BracketOpen
            | Token::ParenOpen => operators += 1,
            _ => {}
        }
        if operators > LONGEST_CHAIN || branches > LONGEST_CHAIN {
            return Err(Error::new(
                ErrorKind::SyntaxError,
                format!("an expression has more than {LONGEST_CHAIN} operators, or an `if` as many branches"),
            ));
        }
    }
    Ok(())
}

/// The instructions of a tree.
pub(super) fn code(tree: &ast::Stmt<'_>) -> Code {
    let mut generator = CodeGenerator::new("template", "");
    generator.compile_stmt(tree);
    let (instructions, blocks) = generator.finish();
    let mut code = Code {
        instructions: Instructions::new("template", ""),
        blocks: BTreeMap::new(),
        changes: has_changes(&instructions) || blocks.values().any(has_changes),
        plain: 0,
        fixed: Vec::new(),
    };
    code.instructions = translated(&instructions, &mut code);
    for (name, instructions) in &blocks {
        let instructions = translated(instructions, &mut code);
        code.blocks.insert(interned(name), instructions);
    }
    code
}

/// All instructions, in order.
fn each<'i>(instructions: &'i Instructions<'i>) -> impl Iterator<Item = &'i Instruction<'i>> {
    (0..).map_while(|at| instructions.get(at))
}

fn has_changes(instructions: &Instructions<'_>) -> bool {
    each(instructions).any(|one| matches!(one, Instruction::CallMethod(name, _) if CHANGING.contains(name)))
}

/// A name that lives as long as the program. There are as many as templates have different names in them.
fn interned(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

/// A call of one of the operators.
fn operator(sign: &'static str, count: usize) -> Instruction<'static> {
    Instruction::ApplyFilter(sign, u16::try_from(count).ok(), u8::MAX)
}

/// The loops whose body sets names, by the place of their `Iterate`, with the place of the jump back.
///
/// In Jinja2 each pass of such a body begins anew, in minijinja it finds what the pass before has set.
fn setting_loops(old: &Instructions<'_>) -> BTreeMap<u32, u32> {
    let mut loops = BTreeMap::new();
    let mut at = 0;
    while let Some(instruction) = old.get(at) {
        if let Instruction::Iterate(end) = instruction {
            // The targets of the loop itself are set at every pass anyway.
            let inner = at + 1 + targets(old, at);
            let mut nested = 0_u32;
            let sets = (inner..*end).any(|at| match old.get(at) {
                Some(Instruction::PushLoop(_)) => {
                    nested += 1;
                    false
                }
                Some(Instruction::PopLoopFrame) => {
                    nested -= 1;
                    false
                }
                Some(Instruction::StoreLocal(_)) => nested == 0,
                _ => false,
            });
            if sets {
                loops.insert(at, end - 1);
            }
        }
        at += 1;
    }
    loops
}

/// A loop with a condition, `{% for x in xs if c %}`.
///
/// minijinja first tries all items and then loops over those that are left; Jinja2 tries each when it is its
/// turn, so that the condition sees what the body has changed.
struct Filtered {
    /// The `Iterate` of the loop that tries, and the one of the loop over what is left.
    trying: u32,
    looping: u32,
    /// The end of the loop over what is left.
    end: u32,
    /// What jumps where the condition doesn't hold.
    test: u32,
    /// What `loop` is in the body.
    flags: u8,
}

/// The loops with conditions whose body sees no other passes: those without `else` that don't ask `loop`.
fn filtered_loops(old: &Instructions<'_>) -> Vec<Filtered> {
    use minijinja::machinery::Instruction as I;
    let mut loops = Vec::new();
    for (trying, instruction) in (0..).zip(each(old)) {
        let I::Iterate(end) = instruction else { continue };
        let (
            Some(I::PopLoopFrame),
            Some(I::BuildList(None)),
            Some(I::PushLoop(flags)),
            Some(I::Iterate(last)),
        ) = (old.get(*end), old.get(end + 1), old.get(end + 2), old.get(end + 3))
        else {
            continue;
        };
        let (looping, test) = (end + 3, end - 7);
        let asks = (looping..*last).any(|at| {
            matches!(old.get(at), Some(I::Lookup("loop") | I::CallFunction("loop", _) | I::FastRecurse))
        });
        let plain = matches!(old.get(test), Some(I::JumpIfFalse(_)))
            && matches!(old.get(*last), Some(I::PopLoopFrame));
        if plain && !asks {
            loops.push(Filtered { trying, looping, end: *last, test, flags: *flags });
        }
    }
    loops
}

/// How many instructions after an `Iterate` set the targets of its loop.
fn targets(old: &Instructions<'_>, iterate: u32) -> u32 {
    let is_target = |at| matches!(old.get(at), Some(Instruction::StoreLocal(_) | Instruction::UnpackList(_)));
    (iterate + 1..).take_while(|at| is_target(*at)).map(|_| 1).sum()
}

/// What is open at a place of the instructions, and must be closed by a jump out of it.
enum Open {
    /// A loop, by the places of its `Iterate` and of its end; whether each pass has a frame of its own.
    Loop {
        iterate: u32,
        end: u32,
        own_frame: bool,
    },
    Frame,
    Capture,
}

/// The instructions for a `break` or `continue` to `target`, and where they lead; none where the jump at `at`
/// is another one. minijinja's own jumps leave open what lies between them and the loop.
fn leaving(open: &[Open], at: u32, target: u32) -> Option<(Vec<Instruction<'static>>, u32)> {
    let place = open.iter().rposition(|one| matches!(one, Open::Loop { .. }))?;
    let Open::Loop { iterate, end, own_frame } = open[place] else { return None };
    let continues = target == iterate && at != end - 1;
    if !continues && target != end {
        return None;
    }
    let mut closing = Vec::new();
    for one in open[place + 1..].iter().rev() {
        match one {
            Open::Capture => closing.extend([Instruction::EndCapture, Instruction::DiscardTop]),
            _ => closing.push(Instruction::PopFrame),
        }
    }
    if continues {
        // The way back to the beginning closes the frame of the pass itself.
        return Some((closing, end - 1));
    }
    if own_frame {
        closing.push(Instruction::PopFrame);
    }
    Some((closing, end))
}

fn translated(old: &Instructions<'_>, code: &mut Code) -> Instructions<'static> {
    use minijinja::machinery::Instruction as I;
    let loops = setting_loops(old);
    // Only where methods or assignments change something can the two ways of trying be told apart.
    let changes = code.changes || each(old).any(|one| matches!(one, I::SetAttr(_)));
    let filtered = if changes { filtered_loops(old) } else { Vec::new() };
    let mut open: Vec<Open> = Vec::new();
    let mut skipped: HashSet<u32> = HashSet::new();
    for one in &filtered {
        skipped.insert(one.trying + 1);
        skipped.extend(one.test + 1..=one.looping + targets(old, one.looping));
    }
    let jumps_back: HashSet<u32> = loops.values().copied().collect();
    // Where each old instruction begins among the new ones, and the new ones.
    let mut places = Vec::new();
    let mut new: Vec<(I<'static>, u32)> = Vec::new();
    let mut at = 0;
    while let Some(instruction) = old.get(at) {
        places.push(u32::try_from(new.len()).unwrap_or(u32::MAX));
        if skipped.contains(&at) {
            at += 1;
            continue;
        }
        if jumps_back.contains(&at) {
            new.push((I::PopFrame, at));
        }
        let begins = |one: &&Filtered| one.trying == at || one.trying == at + 1;
        let lazy = filtered.iter().find(begins);
        let mut push = |instruction: I<'static>| new.push((instruction, at));
        match instruction {
            I::EmitRaw(text) => {
                code.plain += text.len();
                push(I::LoadConst(Value::from(*text)));
                push(I::Emit);
            }
            I::LoadConst(value) => {
                push(I::LoadConst(value.clone()));
                let is_list =
                    value.as_object().is_some_and(|object| object.downcast_ref::<Tuple>().is_none());
                let is_list = is_list && !value.is_kwargs();
                if is_list && matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) {
                    push(operator("copy", 1));
                }
            }
            I::BuildList(Some(count)) => push(operator("[]", *count)),
            I::BuildList(None) => push(I::ApplyFilter("[]", None, u8::MAX)),
            I::BuildMap(count) => push(operator("{}", count * 2)),
            I::GetItem => push(operator("item", 2)),
            I::Slice => push(operator("slice[]", 4)),
            I::Add => push(operator("+", 2)),
            I::Sub => push(operator("-", 2)),
            I::Mul => push(operator("*", 2)),
            I::Div => push(operator("/", 2)),
            I::IntDiv => push(operator("//", 2)),
            I::Rem => push(operator("%", 2)),
            I::Pow => push(operator("**", 2)),
            I::Neg => push(operator("neg", 1)),
            I::Eq => push(operator("==", 2)),
            I::Ne => push(operator("!=", 2)),
            I::Gt => push(operator(">", 2)),
            I::Gte => push(operator(">=", 2)),
            I::Lt => push(operator("<", 2)),
            I::Lte => push(operator("<=", 2)),
            I::StringConcat => push(operator("~", 2)),
            I::In => push(operator("in", 2)),
            I::PushLoop(flags) => {
                push(operator("iter", 1));
                push(I::PushLoop(lazy.map_or(*flags, |one| one.flags)));
            }
            I::Iterate(end) => {
                let end = lazy.map_or(*end, |one| one.end);
                push(I::Iterate(end));
                let iterate = lazy.map_or(at, |one| one.looping);
                let own_frame = loops.contains_key(&iterate);
                if own_frame {
                    push(I::PushWith);
                }
                open.push(Open::Loop { iterate, end, own_frame });
            }
            I::Jump(to) => match leaving(&open, at, *to) {
                Some((closing, to)) => {
                    closing.into_iter().for_each(&mut push);
                    push(I::Jump(to));
                }
                None => push(I::Jump(*to)),
            },
            I::PushWith => {
                push(I::PushWith);
                open.push(Open::Frame);
            }
            I::BeginCapture(mode) => {
                push(I::BeginCapture(*mode));
                open.push(Open::Capture);
            }
            I::PopFrame | I::EndCapture => {
                push(owned(instruction));
                open.pop();
            }
            I::JumpIfFalse(to) => match filtered.iter().find(|one| one.test == at) {
                // To the jump back, which also ends the frame of this pass.
                Some(one) => push(I::JumpIfFalse(one.end - 1)),
                None => push(I::JumpIfFalse(*to)),
            },
            I::PopLoopFrame => {
                push(I::PopLoopFrame);
                open.pop();
                if filtered.iter().any(|one| one.end == at) {
                    // The count of items that the two loops would have passed on.
                    push(I::DiscardTop);
                }
            }
            I::ApplyFilter(name @ "choice", Some(1), _) => {
                let constant = at.checked_sub(1).and_then(|before| old.get(before));
                match constant {
                    Some(I::LoadConst(value)) if value.len().is_some_and(|len| len > 0) => {
                        push(I::LoadConst(Value::from(code.fixed.len())));
                        push(operator("chosen", 2));
                        code.fixed
                            .extend(value.as_str().map_or(value.len(), |text| Some(text.chars().count())));
                    }
                    _ => push(I::ApplyFilter(interned(name), Some(1), u8::MAX)),
                }
            }
            I::GetAttr(name) if is_method(name) => {
                push(I::LoadConst(Value::from(*name)));
                push(operator("attribute", 2));
            }
            other => push(owned(other)),
        }
        at += 1;
    }
    places.push(u32::try_from(new.len()).unwrap_or(u32::MAX));
    for one in &filtered {
        places[one.looping as usize] = places[one.trying as usize];
    }
    let place = |old: u32| places.get(old as usize).copied().unwrap_or(old);
    let mut made = Instructions::new("template", "");
    let mut locals: BTreeMap<&'static str, u8> = BTreeMap::new();
    for (mut instruction, from) in new {
        match &mut instruction {
            I::Iterate(to)
            | I::Jump(to)
            | I::JumpIfFalse(to)
            | I::JumpIfFalseOrPop(to)
            | I::JumpIfTrueOrPop(to)
            | I::BuildMacro(_, to, _) => *to = place(*to),
            _ => {}
        }
        if let I::ApplyFilter(name, _, local) = &mut instruction {
            // Under a number of its own a filter is looked up once in a rendering.
            let next = u8::try_from(locals.len()).ok().filter(|next| *next < MOST_LOCALS);
            *local = match (locals.get(name), next) {
                (Some(known), _) => *known,
                (None, Some(next)) => *locals.entry(*name).or_insert(next),
                (None, None) => u8::MAX,
            };
        }
        match (old.get_span(from), old.get_line(from)) {
            (Some(span), _) => made.add_with_span(instruction, span),
            (None, Some(line)) => made.add_with_line(instruction, u16::try_from(line).unwrap_or(u16::MAX)),
            (None, None) => made.add(instruction),
        };
    }
    made
}

/// An instruction whose names live on.
fn owned(instruction: &Instruction<'_>) -> Instruction<'static> {
    use minijinja::machinery::Instruction as I;
    match instruction {
        I::EmitRaw(text) => I::LoadConst(Value::from(*text)),
        I::StoreLocal(name) => I::StoreLocal(interned(name)),
        I::Lookup(name) => I::Lookup(interned(name)),
        I::GetAttr(name) => I::GetAttr(interned(name)),
        I::SetAttr(name) => I::SetAttr(interned(name)),
        I::ApplyFilter(name, count, local) => I::ApplyFilter(interned(name), *count, *local),
        I::PerformTest(name, count, local) => I::PerformTest(interned(name), *count, *local),
        I::CallFunction(name, count) => I::CallFunction(interned(name), *count),
        I::CallMethod(name, count) => I::CallMethod(interned(name), *count),
        I::CallBlock(name) => I::CallBlock(interned(name)),
        I::BuildMacro(name, to, flags) => I::BuildMacro(interned(name), *to, *flags),
        I::Enclose(name) => I::Enclose(interned(name)),
        I::LoadConst(value) => I::LoadConst(value.clone()),
        I::BuildMap(x) => I::BuildMap(*x),
        I::BuildKwargs(x) => I::BuildKwargs(*x),
        I::MergeKwargs(x) => I::MergeKwargs(*x),
        I::BuildList(x) => I::BuildList(*x),
        I::BuildTuple(x) => I::BuildTuple(*x),
        I::UnpackList(x) => I::UnpackList(*x),
        I::UnpackLists(x) => I::UnpackLists(*x),
        I::CompareAndPreserve(x) => I::CompareAndPreserve(*x),
        I::PushLoop(x) => I::PushLoop(*x),
        I::Iterate(x) => I::Iterate(*x),
        I::Jump(x) => I::Jump(*x),
        I::JumpIfFalse(x) => I::JumpIfFalse(*x),
        I::JumpIfFalseOrPop(x) => I::JumpIfFalseOrPop(*x),
        I::JumpIfTrueOrPop(x) => I::JumpIfTrueOrPop(*x),
        I::BeginCapture(x) => I::BeginCapture(*x),
        I::CallObject(x) => I::CallObject(*x),
        I::Include(x) => I::Include(*x),
        I::GetItem => I::GetItem,
        I::Slice => I::Slice,
        I::Add => I::Add,
        I::Sub => I::Sub,
        I::Mul => I::Mul,
        I::Div => I::Div,
        I::IntDiv => I::IntDiv,
        I::Rem => I::Rem,
        I::Pow => I::Pow,
        I::Neg => I::Neg,
        I::Eq => I::Eq,
        I::Ne => I::Ne,
        I::Gt => I::Gt,
        I::Gte => I::Gte,
        I::Lt => I::Lt,
        I::Lte => I::Lte,
        I::Not => I::Not,
        I::StringConcat => I::StringConcat,
        I::In => I::In,
        I::Emit => I::Emit,
        I::PushWith => I::PushWith,
        I::PushDidNotIterate => I::PushDidNotIterate,
        I::PopFrame => I::PopFrame,
        I::PopLoopFrame => I::PopLoopFrame,
        I::PushAutoEscape => I::PushAutoEscape,
        I::PopAutoEscape => I::PopAutoEscape,
        I::EndCapture => I::EndCapture,
        I::DupTop => I::DupTop,
        I::DiscardTop => I::DiscardTop,
        I::FastSuper => I::FastSuper,
        I::FastRecurse => I::FastRecurse,
        I::Swap => I::Swap,
        I::LoadBlocks => I::LoadBlocks,
        I::ExportLocals => I::ExportLocals,
        I::Return => I::Return,
        I::IsUndefined => I::IsUndefined,
        I::GetClosure => I::GetClosure,
    }
}
