//! Chat templates, as transformers 5.23.0 runs them: Jinja2's sandbox whose values don't change, with
//! `trim_blocks`, `lstrip_blocks`, `break` and `continue`, and the functions that it adds.
//!
//! They come from strangers, so that every rendering is bounded in steps and in what it writes.

mod json;

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

use minijinja::machinery::{Token, eval, make_string_output, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};

use super::arguments::{bind, needed, text};
use super::code::{self, Code};
use super::operators::Operator;
use super::row::{Draws, Root};
use super::truncation::Rewritten;
use super::values::{Outcome, Range, Shape, of_json, shape, type_of, wrong};
use super::{Fault, checks, fault, filters, functions, methods, operators, placed, python};

/// How many instructions a rendering may take.
const FUEL: u64 = 5_000_000;
/// How many bytes a rendering may write, those of captured blocks and macros included.
const MOST_WRITTEN: usize = 1 << 26;
/// How many bytes a rendering's filters, operators and methods may look at: an instruction alone takes longer
/// the longer its operands are.
const MOST_SEEN: usize = 1 << 30;
/// The operators that go through the whole of their operands.
const OPERATORS: [&str; 12] = ["+", "*", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "iter"];
/// How many values a rendering may compare with each other.
const MOST_COMPARED: usize = 1 << 25;
/// What an item of a list counts as, in bytes.
const ITEM: usize = 16;
/// The longest range that Jinja2's sandbox allows.
const LONGEST_RANGE: usize = 100_000;

/// A chat template ready to render; it can be shared between threads.
pub(crate) struct Chat {
    code: Code,
    rewritten: Rewritten,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The template called `raise_exception` with this message.
    Raised(String),
    /// Something in the template doesn't fit, or it takes too long.
    Fault(Fault),
}

/// The message of `raise_exception` on its way through minijinja.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// A function that belongs to one rendering.
pub(crate) type Dated = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// `strftime_now` at the moment of the rendering.
struct StrftimeNow(Dated);

impl fmt::Debug for StrftimeNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strftime_now")
    }
}

impl Object for StrftimeNow {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
        let [format] = bind("strftime_now", arguments, ["format"])?;
        Ok(Value::from((self.0)(text(&needed("strftime_now", "format", format)?)?)))
    }
}

thread_local! {
    /// How many bytes the rendering on this thread may still write.
    static LEFT: Cell<usize> = const { Cell::new(0) };
    /// How many it may still look at.
    static UNSEEN: Cell<usize> = const { Cell::new(0) };
}

/// Counts the operands of an instruction.
///
/// # Errors
/// When there were too many in this rendering.
fn look_at<'v>(operands: impl IntoIterator<Item = &'v Value>) -> Result<(), Error> {
    let size = |value: &Value| match shape(value) {
        Shape::Str(text) => text.len(),
        Shape::List(list) => list.items().len().saturating_mul(ITEM),
        Shape::Tuple(tuple) => tuple.len().saturating_mul(ITEM),
        Shape::Dict(dict) => dict.pairs().len().saturating_mul(ITEM),
        Shape::View(view) => view.items.len().saturating_mul(ITEM),
        _ => 0,
    };
    let sizes = operands.into_iter().map(size).fold(0, usize::saturating_add);
    let left = UNSEEN.get().checked_sub(sizes);
    UNSEEN.set(left.ok_or_else(|| wrong(format!("it looks at more than {MOST_SEEN} bytes")))?);
    Ok(())
}

/// What comes of operands, which are counted, as it is.
///
/// # Errors
/// As [`look_at`], or when nothing comes of them.
fn seen<'v>(operands: impl IntoIterator<Item = &'v Value>, of: impl FnOnce() -> Outcome) -> Outcome {
    look_at(operands)?;
    let made = of()?;
    look_at([&made])?;
    Ok(made)
}

/// What counts the bytes on their way.
struct Counted<'a, 'o>(&'a mut minijinja::Output<'o>);

impl fmt::Write for Counted<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = LEFT.get().checked_sub(text.len()).ok_or(fmt::Error)?;
        LEFT.set(left);
        self.0.write_str(text)
    }
}

/// The one environment: what chat templates can name, without a loader to read anything.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::empty();
    env.set_fuel(Some(FUEL));
    // It would keep copies of texts for messages that aren't shown.
    env.set_debug(false);
    env.set_unknown_method_callback(call);
    env.set_formatter(|out, _, value| {
        let written = python::str_to(&mut Counted(out), value);
        written.map_err(|e| match e.kind() {
            ErrorKind::WriteFailure => wrong(format!("the text grew longer than {MOST_WRITTEN} bytes")),
            _ => e,
        })
    });
    operators::add_to(&mut env);
    filters::add_to(&mut env);
    checks::add_to(&mut env);
    functions::add_to(&mut env);
    for (sign, operator) in OPERATORS.into_iter().filter_map(|sign| Some((sign, operators::of(sign)?))) {
        match operator {
            Operator::Unary(operator) => env.add_filter(sign, move |a: &Value| seen([a], || operator(a))),
            Operator::Binary(operator) => {
                env.add_filter(sign, move |a: &Value, b: &Value| seen([a, b], || operator(a, b)));
            }
        }
    }
    env.add_filter("item", |value: &Value, key: &Value| {
        seen([value].into_iter().filter(|value| value.as_str().is_some()), || operators::item(value, key))
    });
    env.add_filter("slice[]", |value: &Value, start: &Value, stop: &Value, step: &Value| {
        seen([value], || operators::slice(value, start, stop, step))
    });
    for (name, filter) in filters::names().filter_map(|name| Some((name, filters::of(name)?))) {
        // These ask no item for more than where it is.
        let quick = matches!(name, "count" | "first" | "last" | "length");
        env.add_filter(name, move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
            let arguments = arguments.into_values();
            let operands = arguments.iter().filter(|one| !quick || !matches!(shape(one), Shape::List(_)));
            seen(operands, || filter(state, &arguments))
        });
    }
    for (name, check) in checks::names().filter_map(|name| Some((name, checks::of(name)?))) {
        env.add_test(name, move |value: &Value, rest: Rest<Value>| {
            look_at([value].into_iter().chain(rest.iter()).filter(|one| one.as_str().is_some()))?;
            check(value, &rest)
        });
    }
    for name in ["choice", "highlight", "most_frequent"] {
        env.remove_filter(name);
    }
    env.remove_global("zip");
    env.add_filter("tojson", |arguments: Rest<ValueOrKwargs>| {
        let arguments = arguments.into_values();
        seen(&arguments, || json::to_json(&arguments))
    });
    env.add_function("range", range);
    env.add_function("namespace", |arguments: Rest<ValueOrKwargs>| {
        let arguments = arguments.into_values();
        let hidden = |(name, _): &(Value, Value)| name.as_str().is_some_and(|name| name.starts_with('_'));
        match functions::pairs_of(&arguments)?.iter().find(|pair| hidden(pair)) {
            Some((name, _)) => Err(wrong(format!("a namespace can't hold `{name}`, which begins with `_`"))),
            None => functions::namespace(&arguments),
        }
    });
    env.add_function("raise_exception", |arguments: Rest<ValueOrKwargs>| {
        let [message] = bind("raise_exception", &arguments.into_values(), ["message"])?;
        let message = python::string(&needed("raise_exception", "message", message)?)?;
        Err::<Value, Error>(wrong("raise_exception").with_source(Raised(message)))
    });
    env
});

fn range(arguments: Rest<Value>) -> Outcome {
    let range = functions::range(arguments)?;
    match range.downcast_object_ref::<Range>() {
        Some(range) if range.len() > LONGEST_RANGE => {
            Err(wrong(format!("range of {} numbers, above {LONGEST_RANGE}", range.len())))
        }
        _ => Ok(range),
    }
}

/// Calls a method, unless it would change what it is called on.
fn call(state: &mut State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Outcome {
    let changes = match shape(value) {
        Shape::List(_) => {
            matches!(name, "append" | "clear" | "extend" | "insert" | "pop" | "remove" | "reverse" | "sort")
        }
        Shape::Dict(_) => matches!(name, "clear" | "pop" | "popitem" | "setdefault" | "update"),
        _ => false,
    };
    if changes {
        let of = type_of(value);
        return Err(wrong(format!("access to attribute '{name}' of '{of}' object is unsafe")));
    }
    let quick = matches!((name, shape(value)), ("get", Shape::Dict(_)));
    let operands = [value].into_iter().filter(|_| !quick).chain(arguments);
    seen(operands, || methods::call(state, value, name, arguments))
}

/// The rules for white space that transformers sets.
fn syntax() -> Result<SyntaxConfig, Fault> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| Fault {
        message: e.to_string(),
        line: None,
        span: None,
    })
}

/// The template with `{% generation %}` as a `with`, which has a scope of its own as well; the places of
/// everything stay.
///
/// # Errors
/// When there is a tag that transformers doesn't know.
fn without_generation(jinja: &str) -> Result<String, Fault> {
    let mut text = jinja.to_owned();
    let mut begins = false;
    for token in tokenize(jinja, false, SyntaxConfig::default()) {
        // What isn't a token is told by the parser.
        let Ok((token, span)) = token else { break };
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        match token {
            Token::Ident(name @ ("generation" | "endgeneration")) if begins => {
                let instead = if name == "generation" { "with" } else { "endwith" };
                text.replace_range(start..end, &format!("{instead:0$}", name.len()));
            }
            Token::Ident(name @ ("do" | "autoescape" | "include" | "import" | "from" | "extends"))
                if begins =>
            {
                let message = format!("no valid Jinja: transformers has no tag `{name}`");
                let line = jinja[..start].matches('\n').count() + 1;
                return Err(Fault { message, line: Some(line), span: Some(start..end) });
            }
            _ => {}
        }
        begins = matches!(token, Token::BlockStart);
    }
    Ok(text)
}

impl Chat {
    /// Compiles a template.
    ///
    /// # Errors
    /// When it is no Jinja.
    pub(crate) fn new(jinja: &str) -> Result<Self, Fault> {
        let rewritten = Rewritten::of(&without_generation(jinja)?, false);
        let tree = code::tree_with(&rewritten.text, syntax()?).map_err(|e| fault(&e, &rewritten, false))?;
        let code = code::code(&tree);
        drop(tree);
        Ok(Self { code, rewritten })
    }

    /// Renders with these names, and `strftime_now` as the function of that name.
    ///
    /// # Errors
    /// When the template raises, or doesn't fit what it is given.
    pub(crate) fn render(
        &self,
        names: impl IntoIterator<Item = (String, serde_json::Value)>,
        strftime_now: Dated,
    ) -> Result<String, Failure> {
        let clock = ("strftime_now".into(), Value::from_object(StrftimeNow(strftime_now)));
        let names = names.into_iter().map(|(name, value)| (name.into_boxed_str(), of_json(&value)));
        let root = Root {
            row: Arc::new([clock].into_iter().chain(names).collect()),
            choices: None,
            draws: Mutex::new(Draws::Seeded(0, 0)),
            fixed: Vec::new(),
            copies: None,
        };
        LEFT.set(MOST_WRITTEN);
        UNSEEN.set(MOST_SEEN);
        python::allow_comparisons(MOST_COMPARED);
        let mut text = String::with_capacity(self.code.plain + 512);
        let mut output = make_string_output(&mut text);
        let Code { instructions, blocks, .. } = &self.code;
        let names = Value::from_dyn_object(Arc::new(root));
        let rendered = eval(&ENVIRONMENT, instructions, names, blocks, &mut output, AutoEscape::None);
        python::allow_comparisons(usize::MAX);
        match rendered {
            Ok(_) => Ok(text),
            Err(e) => Err(self.failure(&e)),
        }
    }

    fn failure(&self, e: &Error) -> Failure {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(e);
        while let Some(one) = cause {
            if let Some(Raised(message)) = one.downcast_ref() {
                return Failure::Raised(message.clone());
            }
            cause = one.source();
        }
        let (line, span) = (e.line(), e.range());
        let placed = |message: String| placed(message, line, span.as_ref(), &self.rewritten, false);
        let detail = e.detail().unwrap_or_default();
        Failure::Fault(match e.kind() {
            ErrorKind::OutOfFuel => placed(format!("it takes more than {FUEL} steps")),
            ErrorKind::UnknownFunction => {
                let name = detail.split(' ').next().unwrap_or_default();
                placed(format!("`{name}` is undefined"))
            }
            _ => fault(e, &self.rewritten, false),
        })
    }
}
