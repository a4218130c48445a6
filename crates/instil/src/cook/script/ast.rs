//! The syntax tree of a script, its names settled.

use super::Place;
use super::builtins::Builtin;
use super::heap::Value;

/// A whole script.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) functions: Vec<Function>,
    /// The names of the top level, by their places.
    pub(super) globals: Vec<String>,
}

/// A function; the top level is one without parameters.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Vec<Statement>,
    /// How many names it has, the parameters first.
    pub(super) locals: usize,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: Place,
    /// A constant, where it needn't be given.
    pub(super) default: Option<Value>,
}

#[derive(Debug)]
pub(super) struct Statement {
    pub(super) place: Place,
    pub(super) kind: Do,
}

#[derive(Debug)]
pub(super) enum Do {
    Expression(Expression),
    Assign(Expression, Expression),
    /// `target op= value`.
    Change(Expression, Operator, Expression),
    If(Vec<(Expression, Vec<Statement>)>, Vec<Statement>),
    For(Expression, Expression, Vec<Statement>),
    /// A function, and the name that it is bound to.
    Define(u32, Expression),
    Return(Option<Expression>),
    Break,
    Continue,
    Pass,
}

#[derive(Debug)]
pub(super) struct Expression {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Constant(Value),
    /// A name before it is settled.
    Name(String),
    Local(u32),
    Global(u32),
    Builtin(Builtin),
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    /// A comprehension; `value` is there for a dict's.
    Each {
        item: Box<Expression>,
        value: Option<Box<Expression>>,
        clauses: Vec<Clause>,
    },
    Either {
        condition: Box<Expression>,
        yes: Box<Expression>,
        no: Box<Expression>,
    },
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Index(Box<Expression>, Box<Expression>),
    Slice(Box<Expression>, [Option<Box<Expression>>; 3]),
    Call(Box<Expression>, Arguments),
    Method(Box<Expression>, String, Arguments),
}

#[derive(Debug)]
pub(super) enum Clause {
    For(Expression, Expression),
    If(Expression),
}

#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) plain: Vec<Expression>,
    pub(super) named: Vec<(String, Expression)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    NotIn,
}

impl Operator {
    /// The operator of this sign.
    pub(super) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "//" => Self::Divide,
            "%" => Self::Remainder,
            "==" => Self::Equal,
            "!=" => Self::Differs,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// How it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "//",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::Differs => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}
