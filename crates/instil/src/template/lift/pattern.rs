//! A template as a pattern: constants, slots, branches and loops, one state after the other.

use minijinja::machinery::{Span, ast};
use serde_json::Value as Json;

use super::expression::{self, Expression as E, Names, Unreadable, unreadable};
use crate::prompt::bonito::python_strip;
use crate::template::engine::SEPARATOR;

/// The number of a state.
pub(super) type At = usize;
/// Tests by number, each with what it has to come out as.
pub(super) type Conditions = Vec<(usize, bool)>;

#[derive(Debug)]
pub(super) enum State {
    /// A constant, then the next state.
    Text(Box<str>, At),
    /// What an expression shows.
    Slot(usize, At),
    /// Several ways to go on, each under its conditions.
    Branch(Vec<(Conditions, At)>),
    /// A loop is entered.
    Enter(usize, At),
    /// A turn of the loop begins, or the loop ends.
    Head {
        number: usize,
        body: At,
        after: At,
    },
    /// A turn of the loop has ended; its head follows.
    Back(usize, At),
    /// The prompt ends, the completion begins.
    Part(At),
    /// One of so many options is drawn.
    Draw {
        number: usize,
        options: usize,
        next: At,
    },
    End,
}

/// What a slot shows.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) shows: E,
    /// Whether it is in a loop, where a text does not hold what parts the turns.
    pub(super) repeated: bool,
    /// Whether it is one character wide.
    pub(super) character: bool,
    /// All texts that it can show, where they are known beforehand.
    pub(super) options: Option<Vec<Box<str>>>,
}

/// What a loop runs over.
#[derive(Debug)]
pub(super) enum Over {
    /// The items of lists, side by side; the shortest ends it.
    Lists(Vec<E>),
    /// As often as this number says.
    Count(E),
}

/// What can stand at the start of what follows a state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lead {
    Text(Box<str>),
    PartEnd,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) states: Vec<State>,
    pub(super) start: At,
    pub(super) slots: Vec<Slot>,
    pub(super) tests: Vec<E>,
    pub(super) loops: Vec<Over>,
    /// Per loop, whether a turn may show nothing but blanks.
    pub(super) silent: Vec<bool>,
    /// Per state; none where anything may follow.
    pub(super) leads: Vec<Option<Vec<Lead>>>,
    /// The fields that are whole numbers, since they are compared or counted with.
    pub(super) integers: Vec<E>,
    /// The paths that are texts, since the template cuts them as texts.
    pub(super) texts: Vec<E>,
}

enum Node {
    Text(String),
    Slot(usize),
    Branch(Vec<(Conditions, Vec<Node>)>),
    Loop(usize, Vec<Node>),
    Part,
    Draw(usize, usize),
}

#[derive(Default)]
struct Compiler {
    slots: Vec<Slot>,
    tests: Vec<E>,
    loops: Vec<Over>,
    silent: Vec<bool>,
    texts: Vec<E>,
    draws: usize,
    parts: usize,
    /// How many loops are around.
    depth: usize,
}

/// Compiles a template and its `answer_choices`.
pub(super) fn compile(jinja: &str, answer_choices: Option<&str>) -> Result<Pattern, Unreadable> {
    let mut compiler = Compiler::default();
    let mut names = Names::new();
    if let Some(choices) = answer_choices {
        let choices = compiler.choices(choices)?;
        names.insert("answer_choices".to_owned(), choices);
    }
    let tree = parse(jinja)?;
    let ast::Stmt::Template(template) = &tree else { return Err(unreadable("no template", Span::default())) };
    let mut nodes = Vec::new();
    compiler.statements(&template.children, &mut names, &mut nodes)?;
    if compiler.parts == 0 {
        return Err(unreadable(format!("no `{SEPARATOR}` between prompt and completion"), template.span()));
    }
    let mut states = vec![State::End];
    let start = build(&nodes, 0, &mut states);
    let Compiler { mut slots, tests, loops, silent, texts, .. } = compiler;
    for slot in &mut slots {
        slot.character = matches!(core(&slot.shows), E::Item(of, _) if texts.contains(of));
    }
    let mut whole = Vec::new();
    slots.iter().map(|slot| &slot.shows).chain(&tests).for_each(|e| integers(e, false, &mut whole));
    let leads = (0..states.len()).map(|at| leads(&states, &slots, at, 0)).collect();
    Ok(Pattern { states, start, slots, tests, loops, silent, leads, integers: whole, texts })
}

/// The fields that an expression takes for whole numbers.
fn integers(expression: &E, counted: bool, into: &mut Vec<E>) {
    match expression {
        path if counted && is_path(path) => into.push(path.clone()),
        E::Item(of, key) => {
            integers(of, false, into);
            integers(key, matches!(**of, E::List(_)), into);
        }
        E::Sum(a, b) | E::Difference(a, b) => {
            integers(a, true, into);
            integers(b, true, into);
        }
        E::Equal(a, b) => {
            let number = |e: &E| matches!(e, E::Constant(Json::Number(_)));
            integers(a, number(b), into);
            integers(b, number(a), into);
        }
        E::In(a, b) | E::And(a, b) | E::Or(a, b) => {
            integers(a, false, into);
            integers(b, false, into);
        }
        E::Not(of) | E::Slice(of, ..) => integers(of, false, into),
        E::Filter(_, of, _) => integers(of, false, into),
        E::If(a, b, c) => [a, b, c].into_iter().for_each(|e| integers(e, false, into)),
        _ => {}
    }
}

/// Whether it is a field, or a part of one that constants name.
fn is_path(expression: &E) -> bool {
    match expression {
        E::Field(_) => true,
        E::Item(of, key) => matches!(**key, E::Constant(_)) && is_path(of),
        _ => false,
    }
}

fn parse(jinja: &str) -> Result<ast::Stmt<'_>, Unreadable> {
    minijinja::machinery::parse(jinja, "jinja", minijinja::syntax::SyntaxConfig::default())
        .map_err(|e| unreadable(format!("text that is no Jinja ({e})"), Span::default()))
}

impl Compiler {
    fn statements(
        &mut self,
        statements: &[ast::Stmt<'_>],
        names: &mut Names,
        into: &mut Vec<Node>,
    ) -> Result<(), Unreadable> {
        for statement in statements {
            self.statement(statement, names, into)?;
        }
        Ok(())
    }

    fn statement(
        &mut self,
        statement: &ast::Stmt<'_>,
        names: &mut Names,
        into: &mut Vec<Node>,
    ) -> Result<(), Unreadable> {
        match statement {
            ast::Stmt::EmitRaw(raw) => {
                for (i, part) in raw.raw.split(SEPARATOR).enumerate() {
                    if i > 0 {
                        self.parts += 1;
                        into.push(Node::Part);
                    }
                    push_text(into, part);
                }
            }
            ast::Stmt::EmitExpr(emit) => {
                let shows = expression::read(&emit.expr, names)?;
                self.emit(shows, emit.expr.span(), into)?;
            }
            ast::Stmt::IfCond(branch) => {
                let test = expression::read(&branch.expr, names)?;
                if let Some(verdict) = known(&test) {
                    let body = if verdict { &branch.true_body } else { &branch.false_body };
                    return self.statements(body, names, into);
                }
                let test = self.test(test);
                let mut ways = Vec::new();
                let before = names.clone();
                for (verdict, body) in [(true, &branch.true_body), (false, &branch.false_body)] {
                    let mut inner = before.clone();
                    let mut nodes = Vec::new();
                    self.statements(body, &mut inner, &mut nodes)?;
                    for (name, stands_for) in inner {
                        if before.get(&name) != Some(&stands_for) {
                            names.insert(name, E::Opaque);
                        }
                    }
                    ways.push((vec![(test, verdict)], nodes));
                }
                into.push(Node::Branch(ways));
            }
            ast::Stmt::ForLoop(each) => self.each(each, names, into)?,
            ast::Stmt::Set(set) => {
                let ast::Expr::Var(target) = &set.target else {
                    return Err(unreadable("`set` of several names", statement_span(statement)));
                };
                let stands_for = expression::read(&set.expr, names)?;
                let stands_for = match stands_for {
                    E::Filter(name, of, _) if name == "choice" && matches!(&*of, E::List(_)) => {
                        let E::List(options) = &*of else { return Ok(()) };
                        let number = self.draws;
                        self.draws += 1;
                        into.push(Node::Draw(number, options.len()));
                        E::Item(of, Box::new(E::Draw(number)))
                    }
                    stands_for => stands_for,
                };
                names.insert(target.id.to_owned(), stands_for);
            }
            ast::Stmt::WithBlock(with) => {
                let mut inner = names.clone();
                for (target, value) in &with.assignments {
                    let ast::Expr::Var(target) = target else {
                        return Err(unreadable("`with` of several names", with.span()));
                    };
                    let value = expression::read(value, &inner)?;
                    inner.insert(target.id.to_owned(), value);
                }
                self.statements(&with.body, &mut inner, into)?;
            }
            other => {
                return Err(unreadable(format!("the statement `{}`", word(other)), statement_span(other)));
            }
        }
        Ok(())
    }

    fn test(&mut self, test: E) -> usize {
        if let Some(known) = self.tests.iter().position(|other| *other == test) {
            return known;
        }
        self.tests.push(test);
        self.tests.len() - 1
    }

    fn each(
        &mut self,
        each: &ast::Spanned<ast::ForLoop<'_>>,
        names: &Names,
        into: &mut Vec<Node>,
    ) -> Result<(), Unreadable> {
        if each.filter_expr.is_some() || each.recursive || !each.else_body.is_empty() {
            return Err(unreadable("a loop with a condition, recursion or `else`", each.span()));
        }
        let mut inner = names.clone();
        // A turn that shows something for one item alone, the one that equals a key, is that item's text.
        if let ast::Expr::Var(variable) = &each.target
            && let Some((other, body)) = sought(each, variable.id)
        {
            let list = expression::read(&each.iter, names)?;
            let key = expression::read(other, names)?;
            inner.insert("loop".to_owned(), E::filter("index", list, vec![key.clone()]));
            inner.insert(variable.id.to_owned(), key);
            return self.statements(body, &mut inner, into);
        }
        let number = self.loops.len();
        let turn = E::Turn(number);
        inner.insert("loop".to_owned(), turn.clone());
        let over = match (&each.target, &each.iter) {
            (ast::Expr::Var(variable), ast::Expr::Call(call))
                if matches!(call.identify_call(), ast::CallType::Function("range"))
                    && call.args.len() == 1 =>
            {
                let count = expression::arguments(&call.args, names, each.iter.span())?.remove(0);
                inner.insert(variable.id.to_owned(), turn);
                Over::Count(count)
            }
            (ast::Expr::List(_) | ast::Expr::Tuple(_), ast::Expr::Call(call))
                if matches!(call.identify_call(), ast::CallType::Function("zip")) =>
            {
                let lists = expression::arguments(&call.args, names, each.iter.span())?;
                let variables = match &each.target {
                    ast::Expr::List(list) => &list.items,
                    ast::Expr::Tuple(tuple) => &tuple.items,
                    _ => return Err(unreadable("a loop over several names", each.span())),
                };
                if variables.len() != lists.len() {
                    return Err(unreadable("a loop over another number of names than lists", each.span()));
                }
                for (variable, list) in variables.iter().zip(&lists) {
                    let ast::Expr::Var(variable) = variable else {
                        return Err(unreadable("a loop over nested names", each.span()));
                    };
                    inner.insert(variable.id.to_owned(), E::item(list.clone(), turn.clone()));
                }
                Over::Lists(lists)
            }
            (ast::Expr::Var(variable), iter) => {
                let list = expression::read(iter, names)?;
                inner.insert(variable.id.to_owned(), E::item(list.clone(), turn));
                Over::Lists(vec![list])
            }
            _ => return Err(unreadable("a loop over several names", each.span())),
        };
        self.loops.push(over);
        self.silent.push(false);
        let mut nodes = Vec::new();
        let parts = self.parts;
        self.depth += 1;
        self.statements(&each.body, &mut inner, &mut nodes)?;
        self.depth -= 1;
        if self.parts > parts {
            return Err(unreadable(format!("`{SEPARATOR}` in a loop"), each.span()));
        }
        self.silent[number] = silent(&nodes);
        into.push(Node::Loop(number, nodes));
        Ok(())
    }

    /// What `{{…}}` shows.
    fn emit(&mut self, shows: E, span: Span, into: &mut Vec<Node>) -> Result<(), Unreadable> {
        match shows {
            E::Constant(Json::String(text)) => push_text(into, &text),
            E::Constant(Json::Number(number)) => push_text(into, &number.to_string()),
            E::Concat(parts) => {
                for part in parts {
                    self.emit(part, span, into)?;
                }
            }
            E::If(test, a, b) => {
                let test = self.test(*test);
                let mut ways = Vec::new();
                for (verdict, shows) in [(true, *a), (false, *b)] {
                    let mut nodes = Vec::new();
                    self.emit(shows, span, &mut nodes)?;
                    ways.push((vec![(test, verdict)], nodes));
                }
                into.push(Node::Branch(ways));
            }
            E::Filter(name, of, arguments) if name == "join" && matches!(*of, E::List(_)) => {
                let E::List(items) = *of else { return Ok(()) };
                for (i, item) in items.into_iter().enumerate() {
                    if i > 0
                        && let Some(separator) = arguments.first()
                    {
                        self.emit(separator.clone(), span, into)?;
                    }
                    self.emit(item, span, into)?;
                }
            }
            shows => {
                self.check(&shows, span)?;
                let options = options(&shows);
                if let E::Slice(of, ..) = core(&shows) {
                    self.texts.push((**of).clone());
                }
                self.slots.push(Slot { repeated: self.depth > 0, character: false, shows, options });
                into.push(Node::Slot(self.slots.len() - 1));
            }
        }
        Ok(())
    }

    /// Whether it is something that a shown text tells something about.
    fn check(&self, shows: &E, span: Span) -> Result<(), Unreadable> {
        let failed = |what: &str| Err(unreadable(what, span));
        match shows {
            E::Constant(Json::Bool(_) | Json::Null) => failed("a constant that is no text or number"),
            E::Field(_) | E::Constant(_) => Ok(()),
            E::Item(of, _) => match &**of {
                E::List(items) => items.iter().try_for_each(|item| self.check(item, span)),
                E::Map(entries) => entries.iter().try_for_each(|(_, value)| self.check(value, span)),
                E::Slice(of, ..) => self.check(of, span),
                of => self.check(of, span),
            },
            E::Slice(of, start, stop) => match (start, stop) {
                (Some(start), None) if *start >= 0 => self.check(of, span),
                _ => failed("a text that is cut otherwise than at its front"),
            },
            E::Filter(name, of, arguments) => match (name.as_str(), arguments.as_slice()) {
                (
                    "choice" | "choices" | "stripped" | "string" | "safe" | "list" | "filled" | "int"
                    | "length" | "count",
                    [],
                )
                | ("split" | "attribute", [E::Constant(_)])
                | ("lower" | "upper" | "capitalize", [])
                | ("trim", [] | [E::Constant(_)])
                | ("index", [_])
                | ("replace", [E::Constant(_), _]) => self.check(of, span),
                ("join", [] | [E::Constant(Json::String(_))]) => match &**of {
                    E::Slice(of, ..) => self.check(of, span),
                    of => self.check(of, span),
                },
                (name, _) => failed(&format!("`{name}` with these arguments")),
            },
            E::Sum(..) | E::Difference(..) | E::Turn(_) => Ok(()),
            E::List(items) => items.iter().try_for_each(|item| self.check(item, span)),
            E::Map(_) => failed("a map that is shown whole"),
            _ => failed("an expression that is shown as true or false"),
        }
    }

    /// The list that `answer_choices` makes.
    fn choices(&mut self, jinja: &str) -> Result<E, Unreadable> {
        let tree = parse(jinja)?;
        let ast::Stmt::Template(template) = &tree else {
            return Err(unreadable("no template", Span::default()));
        };
        let mut items: Vec<Vec<E>> = vec![Vec::new()];
        let names = Names::new();
        for statement in &template.children {
            match statement {
                ast::Stmt::EmitRaw(raw) => {
                    for (i, part) in raw.raw.split(SEPARATOR).enumerate() {
                        if i > 0 {
                            items.push(Vec::new());
                        }
                        if let Some(item) = items.last_mut() {
                            item.push(E::text(part));
                        }
                    }
                }
                ast::Stmt::EmitExpr(emit) => {
                    if let Some(item) = items.last_mut() {
                        item.push(expression::read(&emit.expr, &names)?);
                    }
                }
                other => {
                    return Err(unreadable(
                        format!("the statement `{}` in answer_choices", word(other)),
                        Span::default(),
                    ));
                }
            }
        }
        let blank = |e: &E| matches!(e, E::Constant(Json::String(text)) if python_strip(text).is_empty());
        let mut read = Vec::new();
        let single = items.len() == 1;
        for mut item in items {
            while item.first().is_some_and(&blank) {
                item.remove(0);
            }
            while item.last().is_some_and(&blank) {
                item.pop();
            }
            let one = if item.len() == 1 { item.remove(0) } else { E::Concat(item) };
            match one {
                E::Filter(name, list, with)
                    if name == "join"
                        && matches!(with.as_slice(), [E::Constant(Json::String(s))] if python_strip(s) == SEPARATOR) =>
                {
                    match *list {
                        E::List(elements) => {
                            read.extend(elements.into_iter().map(|e| E::filter("stripped", e, Vec::new())));
                        }
                        list if single => return Ok(E::filter("choices", list, Vec::new())),
                        _ => {
                            return Err(unreadable("answer_choices of a list among others", Span::default()));
                        }
                    }
                }
                E::Concat(parts) => {
                    let text: Option<String> = parts
                        .iter()
                        .map(|part| match part {
                            E::Constant(Json::String(text)) => Some(text.as_str()),
                            _ => None,
                        })
                        .collect();
                    match text {
                        Some(text) => read.push(E::text(python_strip(&text))),
                        None => {
                            return Err(unreadable(
                                "answer_choices with words beside a field",
                                Span::default(),
                            ));
                        }
                    }
                }
                one => read.push(E::filter("stripped", one, Vec::new())),
            }
        }
        Ok(E::List(read))
    }
}

/// Whether nothing but blanks may be shown.
fn silent(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| match node {
        Node::Text(text) => python_strip(text).is_empty(),
        Node::Slot(_) => false,
        Node::Branch(ways) => ways.iter().any(|(_, nodes)| silent(nodes)),
        Node::Loop(..) | Node::Part | Node::Draw(..) => true,
    })
}

/// Whether a condition is known without a row.
fn known(test: &E) -> Option<bool> {
    match test {
        E::Constant(Json::Bool(verdict)) => Some(*verdict),
        E::Not(test) => known(test).map(|verdict| !verdict),
        _ => None,
    }
}

/// The key that a loop looks for, and what it shows where it is found:
/// `{% for x in xs %}{% if x == key %}…{% endif %}{% endfor %}`.
fn sought<'a, 'b>(
    each: &'a ast::ForLoop<'b>,
    variable: &str,
) -> Option<(&'a ast::Expr<'b>, &'a [ast::Stmt<'b>])> {
    let mut found = None;
    for statement in &each.body {
        match statement {
            ast::Stmt::EmitRaw(raw) if python_strip(raw.raw).is_empty() => {}
            ast::Stmt::IfCond(branch) if found.is_none() && branch.false_body.is_empty() => {
                let (left, right) = match &branch.expr {
                    ast::Expr::BinOp(op) if matches!(op.op, ast::BinOpKind::Eq) => (&op.left, &op.right),
                    ast::Expr::Compare(compare) => match compare.ops.as_slice() {
                        [op] if matches!(op.op, ast::CompareOpKind::Eq) => (&compare.expr, &op.expr),
                        _ => return None,
                    },
                    _ => return None,
                };
                let is_it = |expr: &ast::Expr<'_>| matches!(expr, ast::Expr::Var(var) if var.id == variable);
                let key = match (is_it(left), is_it(right)) {
                    (true, false) => right,
                    (false, true) => left,
                    _ => return None,
                };
                found = Some((key, branch.true_body.as_slice()));
            }
            _ => return None,
        }
    }
    found
}

/// What lies below the filters that go from text to text.
fn core(shows: &E) -> &E {
    match shows {
        E::Filter(name, of, _)
            if ["trim", "lower", "upper", "capitalize", "replace", "string", "safe", "stripped"]
                .contains(&name.as_str()) =>
        {
            core(of)
        }
        other => other,
    }
}

/// All texts that an expression can show, where they are constants.
fn options(shows: &E) -> Option<Vec<Box<str>>> {
    let texts = |items: &mut dyn Iterator<Item = &E>| {
        items
            .map(|item| match item {
                E::Constant(Json::String(text)) => Some(text.as_str().into()),
                E::Constant(Json::Number(number)) => Some(number.to_string().into()),
                _ => None,
            })
            .collect::<Option<Vec<Box<str>>>>()
    };
    let mut found = match shows {
        E::Item(of, _) => match &**of {
            E::List(items) => texts(&mut items.iter()),
            E::Map(entries) => texts(&mut entries.iter().map(|(_, value)| value)),
            _ => None,
        },
        E::Filter(name, of, _) if name == "choice" => match &**of {
            E::List(items) => texts(&mut items.iter()),
            _ => None,
        },
        _ => None,
    }?;
    found.sort_unstable();
    found.dedup();
    Some(found)
}

fn push_text(into: &mut Vec<Node>, text: &str) {
    match into.last_mut() {
        _ if text.is_empty() => {}
        Some(Node::Text(before)) => before.push_str(text),
        _ => into.push(Node::Text(text.to_owned())),
    }
}

/// Puts the states of the nodes in front of `next`; the first of them.
fn build(nodes: &[Node], next: At, states: &mut Vec<State>) -> At {
    let mut next = next;
    for node in nodes.iter().rev() {
        let state = match node {
            Node::Text(text) => State::Text(text.as_str().into(), next),
            Node::Slot(slot) => State::Slot(*slot, next),
            Node::Branch(ways) => State::Branch(
                ways.iter().map(|(tests, nodes)| (tests.clone(), build(nodes, next, states))).collect(),
            ),
            Node::Part => State::Part(next),
            Node::Draw(number, options) => State::Draw { number: *number, options: *options, next },
            Node::Loop(number, nodes) => {
                let head = states.len();
                states.push(State::End);
                states.push(State::Back(*number, head));
                let body = build(nodes, head + 1, states);
                if let Some(state) = states.get_mut(head) {
                    *state = State::Head { number: *number, body, after: next };
                }
                State::Enter(*number, head)
            }
        };
        states.push(state);
        next = states.len() - 1;
    }
    next
}

/// The constants that a text can begin with from a state on; none where it can begin with anything.
fn leads(states: &[State], slots: &[Slot], at: At, depth: usize) -> Option<Vec<Lead>> {
    if depth > 24 {
        return None;
    }
    match states.get(at)? {
        State::Text(text, _) => Some(vec![Lead::Text(text.clone())]),
        State::Slot(slot, _) => {
            let options = slots.get(*slot)?.options.as_ref()?;
            if options.iter().any(|option| option.is_empty()) || options.len() > 64 {
                return None;
            }
            Some(options.iter().map(|option| Lead::Text(option.clone())).collect())
        }
        State::Branch(ways) => {
            let mut all = Vec::new();
            for (_, way) in ways {
                for lead in leads(states, slots, *way, depth + 1)? {
                    if !all.contains(&lead) {
                        all.push(lead);
                    }
                }
            }
            Some(all)
        }
        State::Head { body, after, .. } => {
            let mut all = leads(states, slots, *body, depth + 1)?;
            all.extend(leads(states, slots, *after, depth + 1)?);
            Some(all)
        }
        State::Enter(_, next) | State::Back(_, next) | State::Draw { next, .. } => {
            leads(states, slots, *next, depth + 1)
        }
        State::Part(_) | State::End => Some(vec![Lead::PartEnd]),
    }
}

fn word(statement: &ast::Stmt<'_>) -> &'static str {
    match statement {
        ast::Stmt::SetBlock(_) => "set block",
        ast::Stmt::AutoEscape(_) => "autoescape",
        ast::Stmt::FilterBlock(_) => "filter",
        ast::Stmt::Macro(_) => "macro",
        ast::Stmt::CallBlock(_) => "call",
        ast::Stmt::Continue(_) => "continue",
        ast::Stmt::Break(_) => "break",
        ast::Stmt::Do(_) => "do",
        ast::Stmt::IfCond(_) => "if",
        ast::Stmt::ForLoop(_) => "for",
        ast::Stmt::Set(_) => "set",
        _ => "include, import or block",
    }
}

fn statement_span(statement: &ast::Stmt<'_>) -> Span {
    match statement {
        ast::Stmt::Set(inner) => inner.span(),
        ast::Stmt::SetBlock(inner) => inner.span(),
        ast::Stmt::AutoEscape(inner) => inner.span(),
        ast::Stmt::FilterBlock(inner) => inner.span(),
        ast::Stmt::Macro(inner) => inner.span(),
        ast::Stmt::CallBlock(inner) => inner.span(),
        ast::Stmt::Continue(inner) => inner.span(),
        ast::Stmt::Break(inner) => inner.span(),
        ast::Stmt::Do(inner) => inner.span(),
        ast::Stmt::IfCond(inner) => inner.span(),
        ast::Stmt::ForLoop(inner) => inner.span(),
        _ => Span::default(),
    }
}
