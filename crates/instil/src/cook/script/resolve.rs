//! Which name means what: of the function, of the top level, or built in.

use super::ast::{Arguments, Clause, Do, Expression, Function, Kind, Program, Statement};
use super::builtins::Builtin;
use super::heap::Stop;
use super::{Fault, Place};
use crate::error::nearest;

/// Settles all names of a script's functions.
pub(super) fn resolve(mut functions: Vec<Function>) -> Result<Program, Stop> {
    let mut globals = Vec::new();
    bound(&functions[0].body, &mut globals)?;
    for (place, function) in functions.iter_mut().enumerate() {
        let mut locals: Vec<String> =
            function.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        if place > 0 {
            bound(&function.body, &mut locals)?;
        }
        let mut scope = Scope { globals: &globals, visible: locals.len(), most: locals.len(), locals };
        scope.block(&mut function.body, 0)?;
        function.locals = scope.most;
    }
    Ok(Program { functions, globals })
}

/// The names that statements bind.
fn bound(body: &[Statement], names: &mut Vec<String>) -> Result<(), Stop> {
    for statement in body {
        match &statement.kind {
            Do::Assign(target, _) | Do::Change(target, ..) | Do::Define(_, target) => bind(target, names)?,
            Do::For(target, _, inner) => {
                bind(target, names)?;
                bound(inner, names)?;
            }
            Do::If(arms, rest) => {
                arms.iter().try_for_each(|(_, inner)| bound(inner, names))?;
                bound(rest, names)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn bind(target: &Expression, names: &mut Vec<String>) -> Result<(), Stop> {
    match &target.kind {
        Kind::Name(name) => {
            if Builtin::of(name).is_some() {
                return Err(Fault::new(target.place, format!("`{name}` is built in"))
                    .with_hint("choose another name")
                    .into());
            }
            if !names.contains(name) {
                names.push(name.clone());
            }
            Ok(())
        }
        Kind::Tuple(items) | Kind::List(items) => items.iter().try_for_each(|item| bind(item, names)),
        _ => Ok(()),
    }
}

struct Scope<'a> {
    globals: &'a [String],
    locals: Vec<String>,
    /// How many locals can be seen; those of comprehensions come and go behind them.
    visible: usize,
    most: usize,
}

impl Scope<'_> {
    fn block(&mut self, body: &mut [Statement], loops: u32) -> Result<(), Stop> {
        body.iter_mut().try_for_each(|statement| self.statement(statement, loops))
    }

    fn statement(&mut self, statement: &mut Statement, loops: u32) -> Result<(), Stop> {
        match &mut statement.kind {
            Do::Expression(value) => self.expression(value),
            Do::Assign(target, value) | Do::Change(target, _, value) => {
                self.expression(value)?;
                self.expression(target)
            }
            Do::If(arms, rest) => {
                for (condition, inner) in arms {
                    self.expression(condition)?;
                    self.block(inner, loops)?;
                }
                self.block(rest, loops)
            }
            Do::For(target, over, inner) => {
                self.expression(over)?;
                self.expression(target)?;
                self.block(inner, loops + 1)
            }
            Do::Define(_, target) => self.expression(target),
            Do::Return(value) => value.as_mut().map_or(Ok(()), |value| self.expression(value)),
            Do::Break | Do::Continue if loops == 0 => {
                Err(Fault::new(statement.place, "there is no loop around this").into())
            }
            Do::Break | Do::Continue | Do::Pass => Ok(()),
        }
    }

    fn expression(&mut self, expression: &mut Expression) -> Result<(), Stop> {
        let place = expression.place;
        match &mut expression.kind {
            Kind::Name(name) => {
                expression.kind = self.name(name, place)?;
                Ok(())
            }
            Kind::Constant(_) | Kind::Local(_) | Kind::Global(_) | Kind::Builtin(_) => Ok(()),
            Kind::List(items) | Kind::Tuple(items) => {
                items.iter_mut().try_for_each(|item| self.expression(item))
            }
            Kind::Dict(pairs) => pairs.iter_mut().try_for_each(|(key, value)| {
                self.expression(key)?;
                self.expression(value)
            }),
            Kind::Each { item, value, clauses } => {
                let (outer, names) = (self.visible, self.locals.len());
                for clause in clauses {
                    match clause {
                        Clause::For(target, over) => {
                            self.expression(over)?;
                            let mut bound = Vec::new();
                            bind(target, &mut bound)?;
                            self.locals.extend(bound);
                            self.visible = self.locals.len();
                            self.most = self.most.max(self.visible);
                            self.expression(target)?;
                        }
                        Clause::If(condition) => self.expression(condition)?,
                    }
                }
                self.expression(item)?;
                if let Some(value) = value {
                    self.expression(value)?;
                }
                self.locals.truncate(names);
                self.visible = outer;
                Ok(())
            }
            Kind::Either { condition, yes, no } => {
                self.expression(condition)?;
                self.expression(yes)?;
                self.expression(no)
            }
            Kind::And(a, b) | Kind::Or(a, b) | Kind::Binary(_, a, b) | Kind::Index(a, b) => {
                self.expression(a)?;
                self.expression(b)
            }
            Kind::Not(inner) | Kind::Negative(inner) => self.expression(inner),
            Kind::Slice(of, bounds) => {
                self.expression(of)?;
                bounds.iter_mut().flatten().try_for_each(|bound| self.expression(bound))
            }
            Kind::Call(function, arguments) => {
                self.expression(function)?;
                self.arguments(arguments)
            }
            Kind::Method(of, _, arguments) => {
                self.expression(of)?;
                self.arguments(arguments)
            }
        }
    }

    fn arguments(&mut self, arguments: &mut Arguments) -> Result<(), Stop> {
        arguments.plain.iter_mut().try_for_each(|value| self.expression(value))?;
        arguments.named.iter_mut().try_for_each(|(_, value)| self.expression(value))
    }

    fn name(&self, name: &str, place: Place) -> Result<Kind, Stop> {
        if let Some(at) = self.locals[..self.visible].iter().rposition(|local| local == name) {
            return Ok(Kind::Local(at as u32));
        }
        if let Some(at) = self.globals.iter().position(|global| global == name) {
            return Ok(Kind::Global(at as u32));
        }
        if let Some(builtin) = Builtin::of(name) {
            return Ok(Kind::Builtin(builtin));
        }
        let mut known: Vec<&str> =
            self.locals[..self.visible].iter().chain(self.globals).map(String::as_str).collect();
        Builtin::names().for_each(|name| known.push(name));
        let fault = Fault::new(place, format!("there is no `{name}`"));
        Err(match nearest(name, known) {
            Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
            None => fault,
        }
        .into())
    }
}
