//! One template over one row, with the semantics of PromptSource 0.2.3.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::{Environment, Value};

use crate::prompt::bonito::python_strip;

/// What parts prompt and completion in a template.
pub const SEPARATOR: &str = "|||";

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
    /// The bytes of the Jinja text.
    pub span: Option<std::ops::Range<usize>>,
}

/// A template ready to render; it can be shared between threads.
#[derive(Clone)]
pub struct Compiled(Arc<Inner>);

struct Inner {
    environment: Environment<'static>,
    variables: BTreeSet<String>,
}

/// The fields of a row as the engine takes them, made once and rendered with any number of templates.
pub struct Fields(Value);

impl Fields {
    /// The fields of a row.
    pub fn of(fields: &serde_json::Map<String, serde_json::Value>) -> Self {
        Self(Value::from(minijinja::value::Serde(fields)))
    }
}

impl Compiled {
    /// Compiles a template.
    ///
    /// # Errors
    /// When it is no Jinja, or names a filter, test or function that there isn't.
    pub fn new(jinja: &str, _answer_choices: Option<&str>, _options: Options) -> Result<Self, Fault> {
        let fault = |e: minijinja::Error| Fault { message: e.to_string(), line: e.line(), span: e.range() };
        let mut environment = Environment::new();
        environment.add_template_owned("jinja", jinja.to_owned()).map_err(fault)?;
        let template = environment.get_template("jinja").map_err(fault)?;
        let variables = template.undeclared_variables(false).into_iter().collect();
        Ok(Self(Arc::new(Inner { environment, variables })))
    }

    /// The names that the template reads and does not set, of which a row must have each.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.0.variables
    }

    /// The parts between the separators, each stripped as Python strips; `choice` and `random` draw from
    /// `seed`.
    ///
    /// # Errors
    /// When the row's fields have another shape than the template expects.
    pub fn render(&self, fields: &Fields, _seed: u64) -> Result<Vec<String>, Fault> {
        let fault = |e: minijinja::Error| Fault { message: e.to_string(), line: e.line(), span: e.range() };
        let template = self.0.environment.get_template("jinja").map_err(fault)?;
        let text = template.render(&fields.0).map_err(fault)?;
        Ok(text.split(SEPARATOR).map(|part| python_strip(part).to_owned()).collect())
    }
}
