//! One template over one row, with the semantics of PromptSource 0.2.3.
//!
//! minijinja parses and runs the templates; what its values do otherwise than Python's is replaced on the
//! way (see [`code`]), so that the output has the bytes of the Python package's.

mod arguments;
mod checks;
mod code;
mod filters;
mod functions;
mod methods;
mod names;
mod operators;
mod percent;
mod python;
mod row;
mod strings;
mod truncation;
mod values;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use minijinja::machinery::{eval, make_string_output};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

use crate::prompt::bonito::python_strip;
use code::Code;
use names::Names;
use row::{CHOICES, Draws, Root, Row};
use truncation::Rewritten;
use values::{List, copy, of_json};

/// What parts prompt and completion in a template.
pub const SEPARATOR: &str = "|||";
/// What stands for the separator in the fields of a row while a template is rendered.
const PROTECTOR: &str = "3ed2dface8203c4c9dfb1a5dc58e41e0";
/// How many instructions a template may take.
const FUEL: u64 = 10_000_000;

/// How templates are rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the last operand of every `{{…}}` is cut at 2,048 characters, as the published package
    /// does unless told otherwise (spec/bonito.md 2.5).
    pub truncate: bool,
}

/// What is wrong with a template, or with a row under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One line without a final full stop, such as "unknown filter `foo`".
    pub message: String,
    /// The line of the Jinja text, from 1.
    pub line: Option<usize>,
    /// The bytes of the Jinja text; none where the fault is in the answer choices.
    pub span: Option<std::ops::Range<usize>>,
}

/// A template ready to render; it can be shared between threads.
#[derive(Clone)]
pub struct Compiled(Arc<Inner>);

struct Inner {
    main: Part,
    choices: Choices,
    variables: BTreeSet<String>,
    required: BTreeSet<String>,
}

/// One of a template's two texts.
struct Part {
    code: Code,
    rewritten: Rewritten,
    is_choices: bool,
    /// Whether the token that protects separators stands in the text itself.
    protector: bool,
}

enum Choices {
    /// The template has none.
    None,
    /// They are the same for every row.
    Fixed(Value),
    /// They depend on the row.
    Rendered(Part),
}

/// The fields of a row as the engine takes them, made once and rendered with any number of templates.
pub struct Fields {
    row: Arc<Row>,
    /// Whether a field holds a protected separator.
    protected: bool,
}

impl Fields {
    /// The fields of a row.
    pub fn of(fields: &serde_json::Map<String, serde_json::Value>) -> Self {
        let mut protected = false;
        let row = fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    serde_json::Value::String(text) if text.contains(SEPARATOR) => {
                        protected = true;
                        Value::from(text.replace(SEPARATOR, PROTECTOR))
                    }
                    value => {
                        protected = protected || holds_protector(value);
                        of_json(value)
                    }
                };
                (name.as_str().into(), value)
            })
            .collect();
        Self { row: Arc::new(row), protected }
    }
}

/// Whether the token stands in a text already, which then turns into a separator as well.
fn holds_protector(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains(PROTECTOR),
        serde_json::Value::Array(items) => items.iter().any(holds_protector),
        serde_json::Value::Object(pairs) => {
            pairs.iter().any(|(key, value)| key.contains(PROTECTOR) || holds_protector(value))
        }
        _ => false,
    }
}

/// The one environment: what templates can name, without a loader to read anything.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::empty();
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(120);
    env.set_unknown_method_callback(methods::call);
    env.set_formatter(|out, _, value| python::str_to(out, value));
    operators::add_to(&mut env);
    filters::add_to(&mut env);
    checks::add_to(&mut env);
    functions::add_to(&mut env);
    env
});

impl Part {
    fn new(original: &str, truncate: bool, is_choices: bool) -> Result<(Self, Names), Fault> {
        let rewritten = Rewritten::of(original, truncate);
        let tree = code::tree(&rewritten.text).map_err(|e| fault(&e, &rewritten, is_choices))?;
        let mut names = Names::of(&tree);
        if !names.unknown.is_empty() {
            let names::Unknown { message, line, span } = names.unknown.swap_remove(0);
            return Err(placed(message, Some(line), Some(&span), &rewritten, is_choices));
        }
        let code = code::code(&tree);
        drop(tree);
        let protector = original.contains(PROTECTOR);
        Ok((Self { code, rewritten, is_choices, protector }, names))
    }

    /// The draws from its constants.
    fn fixed(&self, draws: &mut Draws) -> Result<Vec<usize>, Fault> {
        let drawn = self.code.fixed.iter().map(|n| draws.draw(*n)).collect::<Result<Vec<_>, Error>>();
        drawn.map_err(|e| fault(&e, &self.rewritten, self.is_choices))
    }

    fn root(&self, fields: &Fields, choices: Option<Value>, draws: Draws, fixed: Vec<usize>) -> Arc<Root> {
        let copies = self.code.changes.then(|| Mutex::new(HashMap::new()));
        Arc::new(Root { row: Arc::clone(&fields.row), choices, draws: Mutex::new(draws), fixed, copies })
    }

    fn run(&self, root: &Arc<Root>) -> Result<String, Fault> {
        let mut text = String::with_capacity(self.code.plain + 512);
        let names = Value::from_dyn_object(Arc::clone(root));
        let mut output = make_string_output(&mut text);
        let Code { instructions, blocks, .. } = &self.code;
        eval(&ENVIRONMENT, instructions, names, blocks, &mut output, AutoEscape::None)
            .map_err(|e| fault(&e, &self.rewritten, self.is_choices))?;
        Ok(text)
    }
}

/// The fault that an error of minijinja's or of the engine's means.
fn fault(e: &Error, rewritten: &Rewritten, is_choices: bool) -> Fault {
    let detail = e.detail().unwrap_or_default();
    let message = match e.kind() {
        ErrorKind::OutOfFuel => format!("the template takes more than {FUEL} steps"),
        ErrorKind::SyntaxError => format!("no valid Jinja: {detail}"),
        ErrorKind::UndefinedError if detail.is_empty() => "an attribute of an undefined value".to_owned(),
        _ if detail.is_empty() => e.kind().to_string(),
        _ => detail.to_owned(),
    };
    placed(message, e.line(), e.range().as_ref(), rewritten, is_choices)
}

fn placed(
    message: String,
    line: Option<usize>,
    span: Option<&std::ops::Range<usize>>,
    rewritten: &Rewritten,
    is_choices: bool,
) -> Fault {
    if is_choices {
        return Fault { message: format!("answer choices: {message}"), line: None, span: None };
    }
    let span = span.map(|span| rewritten.original(span));
    let line = span.as_ref().map_or(line, |span| Some(rewritten.line(span.start)));
    Fault { message, line, span }
}

/// What lies between the separators; faster than `split`, since hardly a text has single bars.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let mut from = 0;
        while let Some(at) = whole[from..].find('|').map(|at| from + at) {
            if whole[at..].starts_with(SEPARATOR) {
                rest = Some(&whole[at + SEPARATOR.len()..]);
                return Some(&whole[..at]);
            }
            from = at + 1;
        }
        rest = None;
        Some(whole)
    })
}

/// The parts between separators, stripped, with the protected separators in place again.
fn parts(text: &str, protected: bool) -> Vec<String> {
    let part = |part: &str| {
        if protected {
            python_strip(&part.replace(PROTECTOR, SEPARATOR)).to_owned()
        } else {
            python_strip(part).to_owned()
        }
    };
    pieces(text).map(part).collect()
}

impl Compiled {
    /// Compiles a template.
    ///
    /// # Errors
    /// When it is no Jinja, or names a filter, test or function that there isn't.
    pub fn new(jinja: &str, answer_choices: Option<&str>, options: Options) -> Result<Self, Fault> {
        let (main, mut names) = Part::new(jinja, options.truncate, false)?;
        let choices = match answer_choices {
            None => Choices::None,
            Some(text) => {
                let (part, own) = Part::new(text, false, true)?;
                let is_fixed = own.read.is_empty() && !own.draws;
                names.read.extend(own.read);
                names.guarded.extend(own.guarded);
                let nothing = Fields { row: Arc::default(), protected: false };
                let root = part.root(&nothing, None, Draws::Seeded(0, 0), Vec::new());
                // Choices that fail do so with every row, but not before there is one.
                match is_fixed.then(|| part.run(&root)) {
                    Some(Ok(text)) => Choices::Fixed(list_of(&text, part.protector)),
                    _ => Choices::Rendered(part),
                }
            }
        };
        let Names { read, guarded, .. } = names;
        let required = read.difference(&guarded).cloned().collect();
        Ok(Self(Arc::new(Inner { main, choices, variables: read, required })))
    }

    /// The names that the template and its answer choices read and don't set; `answer_choices` and
    /// functions aside.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.0.variables
    }

    /// The [`variables`](Self::variables) that it takes for granted: it neither asks whether they are
    /// defined nor gives a default for them.
    pub fn required(&self) -> &BTreeSet<String> {
        &self.0.required
    }

    /// The parts between the separators, each stripped as Python strips; `choice` and `random` draw from
    /// `seed`.
    ///
    /// # Errors
    /// When the row's fields have another shape than the template expects, or rendering takes too long.
    pub fn render(&self, fields: &Fields, seed: u64) -> Result<Vec<String>, Fault> {
        self.with(fields, Draws::Seeded(seed, 0)).0
    }

    /// As [`render`](Self::render), with `draw` to say which of so many is drawn, in the order of the
    /// draws: those of the answer choices first.
    ///
    /// # Errors
    /// As there; also when `draw` answers with a number that isn't below the one it was given.
    pub fn render_with(
        &self,
        fields: &Fields,
        draw: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Vec<String>, Fault> {
        // Filters can't borrow `draw`, so rendering begins again whenever a draw is missing.
        let mut given = Vec::new();
        loop {
            match self.with(fields, Draws::Given(given, 0, None)) {
                (Err(_), Draws::Given(so_far, _, Some(n))) => {
                    given = so_far;
                    given.push(draw(n));
                }
                (rendered, _) => return rendered,
            }
        }
    }

    fn with(&self, fields: &Fields, draws: Draws) -> (Result<Vec<String>, Fault>, Draws) {
        if fields.row.contains_key(CHOICES) {
            let message = format!("the row has a field `{CHOICES}`, which is the template's own name");
            return (Err(Fault { message, line: None, span: None }), draws);
        }
        match self.drawn(fields, draws) {
            Ok(rendered) => rendered,
            Err((fault, draws)) => (Err(fault), draws),
        }
    }

    fn drawn(
        &self,
        fields: &Fields,
        mut draws: Draws,
    ) -> Result<(Result<Vec<String>, Fault>, Draws), (Fault, Draws)> {
        let Inner { main, choices, .. } = &*self.0;
        // The order of the package: it compiles the template, then the answer choices, which it renders.
        let fixed = match main.fixed(&mut draws) {
            Ok(fixed) => fixed,
            Err(fault) => return Err((fault, draws)),
        };
        let answers = match choices {
            Choices::None => Value::from(()),
            Choices::Fixed(list) if main.code.changes => copy(list, 0).unwrap_or_else(|_| list.clone()),
            Choices::Fixed(list) => list.clone(),
            Choices::Rendered(part) => {
                let fixed = match part.fixed(&mut draws) {
                    Ok(fixed) => fixed,
                    Err(fault) => return Err((fault, draws)),
                };
                let names = part.root(fields, None, draws, fixed);
                let rendered = part.run(&names);
                draws = names.draws().take();
                match rendered {
                    Ok(text) => list_of(&text, fields.protected || part.protector),
                    Err(fault) => return Err((fault, draws)),
                }
            }
        };
        let names = main.root(fields, Some(answers), draws, fixed);
        let rendered = main.run(&names).map(|text| parts(&text, fields.protected || main.protector));
        let draws = names.draws().take();
        Ok((rendered, draws))
    }
}

/// The list of answers that a text parted by separators means.
fn list_of(text: &str, protected: bool) -> Value {
    // Here the package strips first and restores then.
    let answer = |part: &str| {
        let part = python_strip(part);
        if protected { Value::from(part.replace(PROTECTOR, SEPARATOR)) } else { Value::from(part) }
    };
    List::value(pieces(text).map(answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(jinja: &str, row: &str) -> Result<Vec<String>, Fault> {
        let serde_json::Value::Object(row) = serde_json::from_str(row).unwrap() else { panic!("{row}") };
        Compiled::new(jinja, None, Options::default())?.render(&Fields::of(&row), 0)
    }

    #[test]
    fn prompt_and_completion_are_parted_and_stripped() {
        assert_eq!(
            render(" {{a}} ||| {{b}}\n", r#"{"a": "x ||| y", "b": 1.0}"#).unwrap(),
            ["x ||| y", "1.0"]
        );
    }

    #[test]
    fn separators_part_as_split_parts() {
        for text in ["", "|", "|||", "a|||b", "||||", "a||||||b|", "|a|||b||c|||"] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), text.split(SEPARATOR).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lists_change_when_their_methods_say_so() {
        let jinja =
            "{% set xs = [] %}{% for w in a.split() %}{{ xs.append(w.upper()) or '' }}{% endfor %}{{ xs }}";
        assert_eq!(render(jinja, r#"{"a": "it's so"}"#).unwrap(), [r#"["IT'S", 'SO']"#]);
    }

    #[test]
    fn unknown_names_are_told_with_the_nearest() {
        let fault = render("a\n{{ b | captialize }}", "{}").unwrap_err();
        assert_eq!(fault.message, "unknown filter `captialize`; did you mean `capitalize`?");
        assert_eq!(fault.line, Some(2));
    }
}
