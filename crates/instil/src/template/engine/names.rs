//! The names in a template: those it reads from the row, and those that nothing has.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::machinery::{Span, ast};

use super::row::CHOICES;
use super::{checks, filters, functions, python};
use crate::error::nearest;

/// The filters that draw at random.
const DRAWING: [&str; 2] = ["choice", "random"];

/// What is wrong with a name, and where.
pub(super) struct Unknown {
    pub(super) message: String,
    pub(super) line: usize,
    pub(super) span: Range<usize>,
}

/// The names of a template.
#[derive(Default)]
pub(super) struct Names {
    /// Those that are read and not set before.
    pub(super) read: BTreeSet<String>,
    /// Those of which the template itself asks whether they are there.
    pub(super) guarded: BTreeSet<String>,
    pub(super) unknown: Vec<Unknown>,
    /// Whether anything is drawn at random.
    pub(super) draws: bool,
    /// The names set so far, by scope.
    scopes: Vec<BTreeSet<String>>,
}

impl Names {
    /// The names of a tree.
    pub(super) fn of(tree: &ast::Stmt<'_>) -> Self {
        let mut names = Self { scopes: vec![BTreeSet::new()], ..Self::default() };
        names.statement(tree);
        names
    }

    fn is_set(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }

    fn set(&mut self, name: &str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned());
        }
    }

    fn fault(&mut self, message: String, span: Span) {
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        self.unknown.push(Unknown { message, line: span.start_line.into(), span: start..end });
    }

    fn within(&mut self, body: impl FnOnce(&mut Self)) {
        self.scopes.push(BTreeSet::new());
        body(self);
        self.scopes.pop();
    }

    fn statements(&mut self, statements: &[ast::Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) {
        use ast::Stmt as S;
        match statement {
            S::Template(template) => self.statements(&template.children),
            S::EmitExpr(emit) => self.expression(&emit.expr),
            S::EmitRaw(_) => {}
            S::ForLoop(each) => {
                self.expression(&each.iter);
                self.within(|names| {
                    names.target(&each.target);
                    names.set("loop");
                    names.optional(each.filter_expr.as_ref());
                    names.statements(&each.body);
                });
                self.within(|names| names.statements(&each.else_body));
            }
            S::IfCond(branch) => {
                self.optional_field(branch);
                self.expression(&branch.expr);
                self.statements(&branch.true_body);
                self.statements(&branch.false_body);
            }
            S::WithBlock(with) => self.within(|names| {
                for (target, value) in &with.assignments {
                    names.expression(value);
                    names.target(target);
                }
                names.statements(&with.body);
            }),
            S::Set(set) => {
                self.expression(&set.expr);
                self.target(&set.target);
            }
            S::SetBlock(set) => {
                self.within(|names| names.statements(&set.body));
                self.optional(set.filter.as_ref());
                self.target(&set.target);
            }
            S::FilterBlock(block) => {
                self.within(|names| names.statements(&block.body));
                self.expression(&block.filter);
            }
            S::Block(block) => self.within(|names| names.statements(&block.body)),
            S::Macro(one) => {
                self.set(one.name);
                self.within(|names| names.macro_body(one));
            }
            S::CallBlock(call) => {
                self.call(&call.call);
                self.within(|names| names.macro_body(&call.macro_decl));
            }
            S::AutoEscape(tag) => self.fault(foreign("autoescape"), tag.span()),
            S::Import(tag) => self.fault(foreign("import"), tag.span()),
            S::FromImport(tag) => self.fault(foreign("from"), tag.span()),
            S::Extends(tag) => self.fault(foreign("extends"), tag.span()),
            S::Include(tag) => self.fault(foreign("include"), tag.span()),
            S::Continue(tag) => self.fault(foreign("continue"), tag.span()),
            S::Break(tag) => self.fault(foreign("break"), tag.span()),
            S::Do(tag) => self.fault(foreign("do"), tag.span()),
        }
    }

    fn macro_body(&mut self, one: &ast::Macro<'_>) {
        for default in &one.defaults {
            self.expression(default);
        }
        for argument in &one.args {
            self.target(argument);
        }
        for name in ["caller", "varargs", "kwargs"] {
            self.set(name);
        }
        self.statements(&one.body);
    }

    fn target(&mut self, target: &ast::Expr<'_>) {
        match target {
            ast::Expr::Var(var) => self.set(var.id),
            ast::Expr::List(list) => list.items.iter().for_each(|item| self.target(item)),
            ast::Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.target(item)),
            other => self.expression(other),
        }
    }

    fn optional(&mut self, expression: Option<&ast::Expr<'_>>) {
        if let Some(expression) = expression {
            self.expression(expression);
        }
    }

    fn arguments(&mut self, arguments: &[ast::CallArg<'_>]) {
        for argument in arguments {
            match argument {
                ast::CallArg::Pos(value)
                | ast::CallArg::Kwarg(_, value)
                | ast::CallArg::PosSplat(value)
                | ast::CallArg::KwargSplat(value) => self.expression(value),
            }
        }
    }

    fn guard(&mut self, expression: &ast::Expr<'_>) {
        if let ast::Expr::Var(var) = expression
            && !self.is_set(var.id)
        {
            self.guarded.insert(var.id.to_owned());
        }
    }

    /// `{% if title %}{{title}}{% endif %}` does without a title. `{% if label %}yes{% else %}no{% endif %}` does
    /// not do without a label, so it counts only where the field is printed if it is there.
    fn optional_field(&mut self, branch: &ast::Spanned<ast::IfCond<'_>>) {
        if let ast::Expr::Var(var) = &branch.expr {
            let mut inside = Self { scopes: vec![BTreeSet::new()], ..Self::default() };
            inside.statements(&branch.true_body);
            if inside.read.contains(var.id) {
                self.guard(&branch.expr);
            }
        }
    }

    fn call(&mut self, call: &ast::Spanned<ast::Call<'_>>) {
        match &call.expr {
            ast::Expr::Var(var) if self.is_set(var.id) || functions::FUNCTIONS.contains(&var.id) => {}
            ast::Expr::Var(var) => {
                let message = unknown("function", var.id, functions::FUNCTIONS.into_iter());
                self.fault(message, var.span());
            }
            other => self.expression(other),
        }
        self.arguments(&call.args);
    }

    /// Two constants without an order, which minijinja would compare while it compiles.
    fn comparison(&mut self, binary: &ast::Spanned<ast::BinOp<'_>>) {
        use ast::BinOpKind::{Gt, Gte, Lt, Lte};
        let sign = match binary.op {
            Lt => "<",
            Lte => "<=",
            Gt => ">",
            Gte => ">=",
            _ => return,
        };
        if let (ast::Expr::Const(left), ast::Expr::Const(right)) = (&binary.left, &binary.right)
            && let Err(e) = python::order(sign, &left.value, &right.value)
        {
            self.fault(e.detail().unwrap_or_default().to_owned(), binary.span());
        }
    }

    fn expression(&mut self, expression: &ast::Expr<'_>) {
        use ast::Expr as E;
        match expression {
            E::Var(var) => {
                let known =
                    self.is_set(var.id) || functions::FUNCTIONS.contains(&var.id) || var.id == CHOICES;
                if !known {
                    self.read.insert(var.id.to_owned());
                }
            }
            E::Const(_) => {}
            E::Slice(slice) => {
                self.expression(&slice.expr);
                self.optional(slice.start.as_ref());
                self.optional(slice.stop.as_ref());
                self.optional(slice.step.as_ref());
            }
            E::UnaryOp(unary) => self.expression(&unary.expr),
            E::BinOp(binary) => {
                self.comparison(binary);
                self.expression(&binary.left);
                self.expression(&binary.right);
            }
            E::Compare(compare) => {
                self.expression(&compare.expr);
                compare.ops.iter().for_each(|op| self.expression(&op.expr));
            }
            E::IfExpr(choice) => {
                self.expression(&choice.test_expr);
                self.expression(&choice.true_expr);
                self.optional(choice.false_expr.as_ref());
            }
            E::Filter(filter) => {
                if filters::LACKING.contains(&filter.name) {
                    self.fault(format!("Jinja2's filter `{}` isn't supported", filter.name), filter.span());
                } else if !filters::is_known(filter.name) {
                    self.fault(unknown("filter", filter.name, filters::names()), filter.span());
                }
                if let (Some(value), "default" | "d") = (&filter.expr, filter.name) {
                    self.guard(value);
                }
                self.draws |= DRAWING.contains(&filter.name) || filter.name == "map";
                self.optional(filter.expr.as_ref());
                self.arguments(&filter.args);
            }
            E::Test(test) => {
                if !checks::is_known(test.name) {
                    self.fault(unknown("test", test.name, checks::names()), test.span());
                }
                if let "defined" | "undefined" = test.name {
                    self.guard(&test.expr);
                }
                self.expression(&test.expr);
                self.arguments(&test.args);
            }
            E::GetAttr(attribute) => self.expression(&attribute.expr),
            E::GetItem(item) => {
                self.expression(&item.expr);
                self.expression(&item.subscript_expr);
            }
            E::Call(call) => self.call(call),
            E::List(list) => list.items.iter().for_each(|item| self.expression(item)),
            E::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item)),
            E::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|item| self.expression(item));
            }
        }
    }
}

fn foreign(tag: &str) -> String {
    format!("the tag `{tag}` isn't one of PromptSource's templates, which stand alone")
}

fn unknown(kind: &str, name: &str, known: impl Iterator<Item = &'static str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown {kind} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {kind} `{name}`"),
    }
}
