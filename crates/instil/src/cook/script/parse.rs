//! From tokens to the syntax tree.

use super::ast::{Arguments, Clause, Do, Expression, Function, Kind, Operator, Parameter, Statement};
use super::heap::{Heap, Stop, Value};
use super::lex::{Token, tokens};
use super::{Fault, Place};

/// How deep expressions and blocks may lie within each other.
const DEEPEST: u32 = 40;
/// The most operators, calls and subscripts of a statement: each makes its tree deeper by one.
const MOST_LINKS: u32 = 200;

type Parsed<T> = Result<T, Stop>;

/// The functions of a script, its top level first. Strings lie in `heap`.
pub(super) fn parse(text: &str, heap: &mut Heap<'_>) -> Parsed<Vec<Function>> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        deep: 0,
        links: 0,
        heap,
        functions: Vec::new(),
        in_function: false,
    };
    let place = Place { line: 1, column: 1 };
    parser.functions.push(Function {
        name: "the top level".to_owned(),
        place,
        parameters: Vec::new(),
        body: Vec::new(),
        locals: 0,
    });
    let mut body = Vec::new();
    while *parser.token() != Token::End {
        parser.statement(&mut body)?;
    }
    parser.functions[0].body = body;
    Ok(parser.functions)
}

struct Parser<'p, 'h> {
    tokens: Vec<(Token, Place)>,
    at: usize,
    deep: u32,
    links: u32,
    heap: &'p mut Heap<'h>,
    functions: Vec<Function>,
    in_function: bool,
}

impl Parser<'_, '_> {
    fn token(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn place(&self) -> Place {
        self.tokens[self.at].1
    }

    /// The token, and on to the next; the last one stays.
    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.token(), Token::Sign(one) if *one == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        if is {
            self.next();
        }
        is
    }

    fn need(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn expected(&self, what: &str) -> Stop {
        let found = match self.token() {
            Token::Name(name) => format!("`{name}`"),
            Token::Number(number) => format!("`{number}`"),
            Token::Share(_) => "a share".to_owned(),
            Token::Text(_) => "a string".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Line => "the line's end".to_owned(),
            Token::Indent => "a line that is moved in".to_owned(),
            Token::Dedent => "the block's end".to_owned(),
            Token::End => "the script's end".to_owned(),
        };
        Fault::new(self.place(), format!("expected {what}, found {found}")).into()
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.deep += 1;
        if self.deep > DEEPEST {
            return Err(Fault::new(
                self.place(),
                format!("more than {DEEPEST} levels lie within each other"),
            )
            .with_hint("give the inner ones names")
            .into());
        }
        let result = inner(self);
        self.deep -= 1;
        result
    }

    fn name(&mut self) -> Parsed<String> {
        match self.token() {
            Token::Name(_) => match self.next() {
                Token::Name(name) => Ok(name),
                _ => Ok(String::new()),
            },
            _ => Err(self.expected("a name")),
        }
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.need(":")?;
        let mut body = Vec::new();
        if *self.token() != Token::Line {
            self.simple(&mut body)?;
            return Ok(body);
        }
        self.next();
        if *self.token() != Token::Indent {
            return Err(self.expected("a block that is moved in"));
        }
        self.next();
        self.deeper(|parser| {
            while *parser.token() != Token::Dedent {
                parser.statement(&mut body)?;
            }
            Ok(())
        })?;
        self.next();
        Ok(body)
    }

    fn statement(&mut self, body: &mut Vec<Statement>) -> Parsed<()> {
        let place = self.place();
        self.links = 0;
        let kind = if self.take("def") {
            self.define(place)?
        } else if self.take("if") {
            let mut arms = vec![(self.test()?, self.block()?)];
            while self.take("elif") {
                arms.push((self.test()?, self.block()?));
            }
            let rest = if self.take("else") { self.block()? } else { Vec::new() };
            Do::If(arms, rest)
        } else if self.take("for") {
            let target = self.targets()?;
            self.need("in")?;
            let over = self.tests()?;
            Do::For(target, over, self.block()?)
        } else {
            return self.simple(body);
        };
        body.push(Statement { place, kind });
        Ok(())
    }

    fn define(&mut self, place: Place) -> Parsed<Do> {
        if self.in_function || self.deep > 0 {
            return Err(Fault::new(place, "a function within a block")
                .with_hint("define functions at the top level, and give them what they need")
                .into());
        }
        let target = Expression { place: self.place(), kind: Kind::Name(self.name()?) };
        let Kind::Name(name) = &target.kind else { return Err(self.expected("a name")) };
        let name = name.clone();
        self.need("(")?;
        let mut parameters: Vec<Parameter> = Vec::new();
        while !self.take(")") {
            let place = self.place();
            let name = self.name()?;
            let default = if self.take("=") { Some(self.constant()?) } else { None };
            if parameters.iter().any(|other| other.name == name) {
                return Err(Fault::new(place, format!("the parameter `{name}` is there twice")).into());
            }
            if default.is_none() && parameters.iter().any(|other| other.default.is_some()) {
                return Err(Fault::new(place, "a parameter without a default behind one that has one").into());
            }
            parameters.push(Parameter { name, place, default });
            if !self.is(")") {
                self.need(",")?;
            }
        }
        self.in_function = true;
        let body = self.block()?;
        self.in_function = false;
        self.functions.push(Function { name, place, parameters, body, locals: 0 });
        Ok(Do::Define(self.functions.len() as u32 - 1, target))
    }

    /// The default of a parameter: what can't be changed.
    fn constant(&mut self) -> Parsed<Value> {
        let place = self.place();
        match self.unary()?.kind {
            Kind::Constant(value) => Ok(value),
            Kind::Negative(number) => match number.kind {
                Kind::Constant(Value::Int(number)) => Ok(Value::Int(-number)),
                _ => Err(Fault::new(place, "a default is a number, a string, True, False or None").into()),
            },
            _ => Err(Fault::new(place, "a default is a number, a string, True, False or None").into()),
        }
    }

    /// Statements of one line.
    fn simple(&mut self, body: &mut Vec<Statement>) -> Parsed<()> {
        let place = self.place();
        let kind = if self.take("return") {
            if !self.in_function {
                return Err(Fault::new(place, "`return` outside of a function").into());
            }
            Do::Return(if *self.token() == Token::Line { None } else { Some(self.tests()?) })
        } else if self.take("break") {
            Do::Break
        } else if self.take("continue") {
            Do::Continue
        } else if self.take("pass") {
            Do::Pass
        } else {
            let first = self.tests()?;
            let change = match self.token() {
                Token::Sign(sign @ ("+=" | "-=" | "*=" | "//=" | "%=")) => {
                    Operator::of(&sign[..sign.len() - 1])
                }
                _ => None,
            };
            if let Some(operator) = change {
                self.next();
                target(&first, false)?;
                Do::Change(first, operator, self.tests()?)
            } else if self.take("=") {
                target(&first, true)?;
                Do::Assign(first, self.tests()?)
            } else {
                Do::Expression(first)
            }
        };
        if *self.token() != Token::Line {
            return Err(self.expected("the line's end"));
        }
        self.next();
        body.push(Statement { place, kind });
        Ok(())
    }

    /// The names of a loop.
    fn targets(&mut self) -> Parsed<Expression> {
        let place = self.place();
        let mut items = vec![self.primary()?];
        let mut is_tuple = false;
        while self.take(",") {
            is_tuple = true;
            if self.is("in") {
                break;
            }
            items.push(self.primary()?);
        }
        let targets = match items.pop() {
            Some(one) if !is_tuple => one,
            last => {
                items.extend(last);
                Expression { place, kind: Kind::Tuple(items) }
            }
        };
        target(&targets, true)?;
        Ok(targets)
    }

    /// An expression, or a tuple of several without brackets.
    fn tests(&mut self) -> Parsed<Expression> {
        let place = self.place();
        let first = self.test()?;
        if !self.is(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take(",") {
            if matches!(self.token(), Token::Line | Token::Sign("=" | ")" | "]" | "}" | ":")) {
                break;
            }
            items.push(self.test()?);
        }
        Ok(Expression { place, kind: Kind::Tuple(items) })
    }

    fn test(&mut self) -> Parsed<Expression> {
        self.deeper(|parser| {
            let yes = parser.or()?;
            let place = yes.place;
            if !parser.take("if") {
                return Ok(yes);
            }
            let condition = parser.or()?.into();
            parser.need("else")?;
            let no = parser.test()?.into();
            Ok(Expression { place, kind: Kind::Either { condition, yes: yes.into(), no } })
        })
    }

    fn or(&mut self) -> Parsed<Expression> {
        let mut left = self.and()?;
        loop {
            let place = self.place();
            if !self.take("or") {
                return Ok(left);
            }
            self.link()?;
            left = Expression { place, kind: Kind::Or(left.into(), self.and()?.into()) };
        }
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut left = self.not()?;
        loop {
            let place = self.place();
            if !self.take("and") {
                return Ok(left);
            }
            self.link()?;
            left = Expression { place, kind: Kind::And(left.into(), self.not()?.into()) };
        }
    }

    fn link(&mut self) -> Parsed<()> {
        self.links += 1;
        if self.links <= MOST_LINKS {
            return Ok(());
        }
        Err(Fault::new(self.place(), format!("more than {MOST_LINKS} operators in one statement"))
            .with_hint("give a part of it a name")
            .into())
    }

    fn not(&mut self) -> Parsed<Expression> {
        let place = self.place();
        if self.take("not") {
            let inner = self.deeper(Self::not)?;
            return Ok(Expression { place, kind: Kind::Not(inner.into()) });
        }
        let left = self.sum()?;
        let Some((place, operator)) = self.comparison()? else { return Ok(left) };
        let right = self.sum()?;
        if let Some((place, _)) = self.comparison()? {
            return Err(Fault::new(place, "comparisons in a row")
                .with_hint("write `a < b and b < c`")
                .into());
        }
        Ok(Expression { place, kind: Kind::Binary(operator, left.into(), right.into()) })
    }

    fn comparison(&mut self) -> Parsed<Option<(Place, Operator)>> {
        let place = self.place();
        let operator = match self.token() {
            Token::Sign("in") => Operator::In,
            Token::Sign("not") => {
                self.next();
                if !self.is("in") {
                    return Err(self.expected("`in`"));
                }
                Operator::NotIn
            }
            Token::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => match Operator::of(sign) {
                Some(operator) => operator,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.next();
        Ok(Some((place, operator)))
    }

    fn sum(&mut self) -> Parsed<Expression> {
        self.binary(&["+", "-"], |parser| parser.binary(&["*", "//", "%"], Self::unary))
    }

    fn binary(
        &mut self,
        signs: &[&str],
        inner: impl Fn(&mut Self) -> Parsed<Expression>,
    ) -> Parsed<Expression> {
        let mut left = inner(self)?;
        loop {
            let place = self.place();
            let operator = match self.token() {
                Token::Sign(sign) if signs.contains(sign) => Operator::of(sign),
                _ => None,
            };
            let Some(operator) = operator else { return Ok(left) };
            self.link()?;
            self.next();
            left = Expression { place, kind: Kind::Binary(operator, left.into(), inner(self)?.into()) };
        }
    }

    fn unary(&mut self) -> Parsed<Expression> {
        let place = self.place();
        if self.take("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Expression { place, kind: Kind::Negative(inner.into()) });
        }
        self.primary()
    }

    /// A value with everything that stands behind it: `.name(…)`, `(…)`, `[…]`.
    fn primary(&mut self) -> Parsed<Expression> {
        let mut value = self.atom()?;
        loop {
            let place = self.place();
            let kind = if self.take(".") {
                let name = self.name()?;
                self.need("(")?;
                Kind::Method(value.into(), name, self.arguments()?)
            } else if self.take("(") {
                Kind::Call(value.into(), self.arguments()?)
            } else if self.take("[") {
                self.subscript(value)?
            } else {
                return Ok(value);
            };
            self.link()?;
            value = Expression { place, kind };
        }
    }

    fn subscript(&mut self, of: Expression) -> Parsed<Kind> {
        let mut bounds: [Option<Box<Expression>>; 3] = [None, None, None];
        let mut colons = 0;
        loop {
            if self.take("]") {
                break;
            }
            if self.take(":") {
                colons += 1;
                if colons > 2 {
                    return Err(self.expected("`]`"));
                }
                continue;
            }
            if bounds[colons].is_some() {
                return Err(self.expected("`:` or `]`"));
            }
            bounds[colons] = Some(self.tests()?.into());
        }
        match (colons, bounds) {
            (0, [Some(index), ..]) => Ok(Kind::Index(of.into(), index)),
            (0, _) => Err(self.expected("an index before `]`")),
            (_, bounds) => Ok(Kind::Slice(of.into(), bounds)),
        }
    }

    fn arguments(&mut self) -> Parsed<Arguments> {
        let mut arguments = Arguments::default();
        while !self.take(")") {
            let place = self.place();
            let is_named = matches!(self.tokens.get(self.at + 1), Some((Token::Sign("="), _)));
            if is_named {
                let name = self.name()?;
                self.need("=")?;
                if arguments.named.iter().any(|(other, _)| *other == name) {
                    return Err(Fault::new(place, format!("`{name}` is given twice")).into());
                }
                arguments.named.push((name, self.test()?));
            } else if arguments.named.is_empty() {
                arguments.plain.push(self.test()?);
            } else {
                return Err(Fault::new(place, "what has a name comes after what has none").into());
            }
            if !self.is(")") {
                self.need(",")?;
            }
        }
        Ok(arguments)
    }

    fn atom(&mut self) -> Parsed<Expression> {
        let place = self.place();
        let kind = match self.token() {
            Token::Name(_) => Kind::Name(self.name()?),
            Token::Number(number) => {
                let number = *number;
                self.next();
                Kind::Constant(Value::Int(number))
            }
            Token::Share(share) => {
                let share = *share;
                self.next();
                Kind::Constant(Value::Share(share))
            }
            Token::Text(_) => {
                let mut text = String::new();
                // Strings side by side are one.
                while let Token::Text(part) = self.token() {
                    text.push_str(part);
                    self.next();
                }
                Kind::Constant(self.heap.text(text, place)?)
            }
            Token::Sign(word @ ("True" | "False" | "None")) => {
                let value = match *word {
                    "True" => Value::Bool(true),
                    "False" => Value::Bool(false),
                    _ => Value::None,
                };
                self.next();
                Kind::Constant(value)
            }
            Token::Sign("(") => {
                self.next();
                if self.take(")") {
                    Kind::Tuple(Vec::new())
                } else {
                    let inner = self.tests()?;
                    self.need(")")?;
                    inner.kind
                }
            }
            Token::Sign("[") => {
                self.next();
                self.list()?
            }
            Token::Sign("{") => {
                self.next();
                self.dict()?
            }
            _ => return Err(self.expected("a value")),
        };
        Ok(Expression { place, kind })
    }

    fn list(&mut self) -> Parsed<Kind> {
        let mut items = Vec::new();
        while !self.take("]") {
            items.push(self.test()?);
            if items.len() == 1 && self.is("for") {
                let item = items.remove(0).into();
                let clauses = self.clauses()?;
                self.need("]")?;
                return Ok(Kind::Each { item, value: None, clauses });
            }
            if !self.is("]") {
                self.need(",")?;
            }
        }
        Ok(Kind::List(items))
    }

    fn dict(&mut self) -> Parsed<Kind> {
        let mut pairs = Vec::new();
        while !self.take("}") {
            let key = self.test()?;
            self.need(":")?;
            let value = self.test()?;
            if pairs.is_empty() && self.is("for") {
                let clauses = self.clauses()?;
                self.need("}")?;
                return Ok(Kind::Each { item: key.into(), value: Some(value.into()), clauses });
            }
            pairs.push((key, value));
            if !self.is("}") {
                self.need(",")?;
            }
        }
        Ok(Kind::Dict(pairs))
    }

    fn clauses(&mut self) -> Parsed<Vec<Clause>> {
        let mut clauses = Vec::new();
        loop {
            self.link()?;
            if self.take("for") {
                let target = self.targets()?;
                self.need("in")?;
                clauses.push(Clause::For(target, self.or()?));
            } else if self.take("if") {
                clauses.push(Clause::If(self.or()?));
            } else {
                return Ok(clauses);
            }
        }
    }
}

/// Asserts that something can be assigned to.
fn target(expression: &Expression, may_be_several: bool) -> Parsed<()> {
    match &expression.kind {
        Kind::Name(_) | Kind::Index(..) => Ok(()),
        Kind::Tuple(items) | Kind::List(items) if may_be_several => {
            items.iter().try_for_each(|item| target(item, true))
        }
        _ => Err(Fault::new(expression.place, "nothing can be assigned to this")
            .with_hint("to compare, write `==`")
            .into()),
    }
}
