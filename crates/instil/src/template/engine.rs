//! One template over one row, with the semantics of PromptSource 0.2.3.
//!
//! minijinja parses and runs the templates; what its values do otherwise than Python's is replaced on the
//! way (see `code.rs`), so that the output has the bytes of the Python package's.

mod arguments;
pub(crate) mod chat;
mod checks;
mod code;
mod direct;
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
use direct::{Direct, Scene};
use names::Names;
use row::{CHOICES, Draws, Root, Row};
use truncation::Rewritten;
use values::{List, copy, of_json};

/// What parts prompt and completion in a template.
pub const SEPARATOR: &str = "|||";
/// What stands for the separator in the fields of a row while a template is rendered.
pub(super) const PROTECTOR: &str = "3ed2dface8203c4c9dfb1a5dc58e41e0";
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
    /// The same code, where it can be run without minijinja's machine.
    direct: Option<Direct>,
    rewritten: Rewritten,
    is_choices: bool,
    /// Whether the token that protects separators stands in the text itself.
    protector: bool,
}

enum Choices {
    /// The template has none.
    None,
    /// They are the same for every row: the list, and its items.
    Fixed(Value, Vec<Value>),
    /// They depend on the row.
    Rendered(Box<Part>),
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
    // It would keep copies of texts for messages that aren't shown.
    env.set_debug(false);
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
        let direct = Direct::of(&code.instructions, &ENVIRONMENT);
        let protector = original.contains(PROTECTOR);
        Ok((Self { code, direct, rewritten, is_choices, protector }, names))
    }

    /// The draws from its constants.
    fn fixed(&self, draws: &mut Draws) -> Result<Vec<usize>, Fault> {
        let drawn = self.code.fixed.iter().map(|n| draws.draw(*n)).collect::<Result<Vec<_>, Error>>();
        drawn.map_err(|e| fault(&e, &self.rewritten, self.is_choices))
    }

    /// Renders, and goes on with `draws`. `items` are those of `choices`, where they are the same for every
    /// row.
    fn run(
        &self,
        fields: &Fields,
        choices: Option<Value>,
        items: &[Value],
        fixed: Vec<usize>,
        draws: &mut Draws,
    ) -> Result<String, Fault> {
        if let Some(text) = self.directly(fields, choices.as_ref(), items, &fixed, draws) {
            return Ok(text);
        }
        let copies = self.code.changes.then(|| Mutex::new(HashMap::new()));
        let row = Arc::clone(&fields.row);
        let root = Arc::new(Root { row, choices, draws: Mutex::new(Draws::Seeded(0, 0)), fixed, copies });
        std::mem::swap(&mut *root.draws(), draws);
        let rendered = self.text(&root);
        std::mem::swap(&mut *root.draws(), draws);
        rendered
    }

    /// What can be rendered without minijinja's machine, for which nothing is drawn or changed otherwise.
    fn directly(
        &self,
        fields: &Fields,
        choices: Option<&Value>,
        items: &[Value],
        fixed: &[usize],
        draws: &mut Draws,
    ) -> Option<String> {
        let direct = self.direct.as_ref()?;
        let copies = self.code.changes;
        let copied = if copies { choices.map(|list| copy(list, 0)).transpose().ok()? } else { None };
        let mut text = String::with_capacity(self.code.plain + 512);
        let mut drawing = draws.clone();
        let mut scene = Scene {
            row: &fields.row,
            choices: copied.as_ref().or(choices),
            fixed_choices: items,
            fixed,
            copies,
            draws: &mut drawing,
            env: &ENVIRONMENT,
        };
        direct.run(&mut scene, &mut text)?;
        *draws = drawing;
        Some(text)
    }

    fn text(&self, root: &Arc<Root>) -> Result<String, Fault> {
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
        ErrorKind::UndefinedError if detail.is_empty() => {
            let text = e.range().and_then(|range| rewritten.text.get(range)).unwrap_or_default();
            match text.rsplit_once(['.', '[']) {
                Some((value, _)) if !value.is_empty() => format!("`{value}` is undefined"),
                _ => "a part of an undefined value".to_owned(),
            }
        }
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
                // Choices that fail do so with every row, but not before there is one.
                match is_fixed.then(|| part.run(&nothing, None, &[], Vec::new(), &mut Draws::Seeded(0, 0))) {
                    Some(Ok(text)) => {
                        let items = answers(&text, part.protector);
                        Choices::Fixed(List::value(items.clone()), items)
                    }
                    _ => Choices::Rendered(Box::new(part)),
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

    /// As [`render`](Self::render), but the text as it is: neither parted nor stripped.
    ///
    /// # Errors
    /// As there.
    pub fn text(&self, fields: &Fields, seed: u64) -> Result<String, Fault> {
        no_choices(fields)?;
        let (text, protected) = self.drawing(fields, &mut Draws::Seeded(seed, 0))?;
        Ok(if protected { text.replace(PROTECTOR, SEPARATOR) } else { text })
    }

    fn with(&self, fields: &Fields, draws: Draws) -> (Result<Vec<String>, Fault>, Draws) {
        let mut draws = draws;
        let rendered = no_choices(fields).and_then(|()| self.drawing(fields, &mut draws));
        (rendered.map(|(text, protected)| parts(&text, protected)), draws)
    }

    /// The text, and whether separators in it may be protected.
    fn drawing(&self, fields: &Fields, draws: &mut Draws) -> Result<(String, bool), Fault> {
        let Inner { main, choices, .. } = &*self.0;
        // The order of the package: it compiles the template, then the answer choices, which it renders.
        let fixed = main.fixed(draws)?;
        let (list, items) = match choices {
            Choices::None => (Value::from(()), &[][..]),
            Choices::Fixed(list, _) if main.code.changes => {
                (copy(list, 0).unwrap_or_else(|_| list.clone()), &[][..])
            }
            Choices::Fixed(list, items) => (list.clone(), items.as_slice()),
            Choices::Rendered(part) => {
                let fixed = part.fixed(draws)?;
                let text = part.run(fields, None, &[], fixed, draws)?;
                (List::value(answers(&text, fields.protected || part.protector)), &[][..])
            }
        };
        let text = main.run(fields, Some(list), items, fixed, draws)?;
        Ok((text, fields.protected || main.protector))
    }
}

/// Refuses a row that has the name which the answer choices are given by.
fn no_choices(fields: &Fields) -> Result<(), Fault> {
    match fields.row.get(CHOICES) {
        None => Ok(()),
        Some(_) => {
            let message = format!("the row has a field `{CHOICES}`, which is the template's own name");
            Err(Fault { message, line: None, span: None })
        }
    }
}

/// The answers that a text parted by separators means.
fn answers(text: &str, protected: bool) -> Vec<Value> {
    // Here the package strips first and restores then.
    let answer = |part: &str| {
        let part = python_strip(part);
        if protected { Value::from(part.replace(PROTECTOR, SEPARATOR)) } else { Value::from(part) }
    };
    pieces(text).map(answer).collect()
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
    fn what_runs_without_the_machine_gives_the_same() {
        let row = r#"{"s": "Ab c", "n": 1, "f": 0.5, "t": ["x", "y ||| z", 3], "d": {"k": [1, 2], "index": "i"}, "e": "",
                      "no": null, "pairs": [[1, "a"], [2, "b"]], "l": false}"#;
        let serde_json::Value::Object(row) = serde_json::from_str(row).unwrap() else { unreachable!() };
        let choices = "yes ||| no ||| {{ s }}";
        for jinja in [
            "{{ s }} and {{ n }}{{ f }}{{ t }}{{ d }}{{ e }}{{ no }}{{ lacking }} ||| {{ answer_choices[n] }}",
            "{% if n == 1 and not l %}a{% elif s %}b{% else %}c{% endif %}{{ 1 < n <= 2 }}{{ s if e else 'x' }}",
            "{% for x in t %}{{ loop.index }}/{{ loop.length }}{{ x }}{% if not loop.last %}, {% endif %}{% else %}-{% endfor %}",
            "{% for x in e %}{{ x }}{% else %}none{% endfor %}{% for a, b in pairs %}{{ a }}{{ b }}{{ loop.first }}{% endfor %}",
            "{% for x in t %}{% if loop.first %}{% set n = 5 %}{% endif %}{{ n }}{% set n = x %}{{ n }}{% endfor %}{{ n }}",
            "{% if l %}{% set s = 1 %}{% endif %}{{ s }}{% set s = t %}{{ s[1] }}{% with s = n %}{{ s }}{% endwith %}{{ s[-1] }}",
            "{% for x in t %}{% for x in d.k %}{{ x }}{{ loop.index0 }}{% endfor %}{{ x }}{{ loop.index }}{% endfor %}",
            "{{ t | choice }}{{ ['a', 'b', 'c'] | choice }}{{ answer_choices | choice }}{{ range(9) | random }}",
            "{{ s.split() | join('-') }}{{ s[1:] }}{{ s.lower() | title }}{{ d.items() | list }}{{ d.index }}{{ t | length }}",
            "{{ pairs | map(attribute=1) | join(', ') }}{{ range(3) | list }}{{ dict(a=1) }}{{ {'a': n} }}{{ zip(t, t) | list }}",
            "{{ n is defined }}{{ x is defined }}{{ n is divisibleby(1) }}{{ x | default('z') }}{{ 'A' in s }}{{ [n, s] }}{{ (n, s) }}",
            "{{ ['zero', 'one'][n] }}{{ {'k': 'v'}['k'] }}{{ t | map('choice') | list }}{{ n ~ s }}{{ s ~ f * 2 }}",
            "{% set a = [] %}{% for x in t %}{{ a.append(x) or '' }}{% endfor %}{{ a }}{{ t.append(1) }}{{ t }}{{ d.update(t=t) }}{{ d }}",
            "{% for x in t %}{{ x }}{% if loop.index < 3 %}{{ t.append(x) }}{% endif %}{% endfor %}{{ answer_choices.pop() }}",
            "{% for x in t if x %}{{ t.reverse() }}{{ x }}{% endfor %}{{ answer_choices.pop() }}{{ answer_choices }}{{ n + s }}",
            "{% for x in t if x != 3 %}{{ t.reverse() }}{{ x }}{% endfor %}{{ answer_choices.sort() }}{{ answer_choices }}",
            "{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(s) }}{% set q %}{{ s }}{% endset %}{{ q }}{% filter upper %}{{ s }}{% endfilter %}",
            // What fails says the same.
            "{{ t | choice }}{{ lacking.part }}",
            "{{ s }}{{ n + s }}",
            "{% for x in n %}{% endfor %}",
            "{% for a, b in t %}{% endfor %}",
            "{{ [] | choice }}",
        ] {
            let with = Compiled::new(jinja, Some(choices), Options::default()).unwrap();
            let mut without = Compiled::new(jinja, Some(choices), Options::default()).unwrap();
            let inner = Arc::get_mut(&mut without.0).unwrap();
            inner.main.direct = None;
            let Choices::Rendered(part) = &mut inner.choices else { unreachable!() };
            part.direct = None;
            for seed in 0..8 {
                let fields = Fields::of(&row);
                assert_eq!(with.render(&fields, seed), without.render(&fields, seed), "{jinja}");
            }
        }
    }

    #[test]
    fn a_list_can_meet_itself() {
        let jinja = "{{ b + b }}{{ b == b }}{{ b <= b }}{{ b.count(b) }}{{ [b].index(b) }}{{ b in b }}{{ b.extend(b) or b }}\
                     {{ d == e }}{{ d.update(d) or d }}";
        let rendered = render(jinja, r#"{"b": [1], "d": {"k": 2}, "e": {"k": 2}}"#).unwrap();
        assert_eq!(rendered, ["[1, 1]TrueTrue00False[1, 1]True{'k': 2}"]);
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

    fn message(jinja: &str) -> String {
        render(jinja, "{}").unwrap_err().message
    }

    #[test]
    fn what_never_ends_is_stopped() {
        let endless = "{% for i in range(99999999) %}{% for j in range(99999999) %}{% endfor %}{% endfor %}";
        assert_eq!(message(endless), "the template takes more than 10000000 steps");
        assert_eq!(message("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), "recursion limit exceeded");
        assert!(message("{{ 'x' * 999999999 }}").contains("too long"));
        let doubling =
            "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}";
        assert!(message(doubling).contains("too long"));
        assert!(message("{{ range(999999999) | list }}").contains("too long"));
    }

    #[test]
    fn nothing_is_nested_so_deep_that_the_stack_overflows() {
        let deep = |open: &str, inner: &str, close: &str| {
            [open.repeat(20_000), inner.into(), close.repeat(20_000)].concat()
        };
        for jinja in [
            format!("{{{{ {} }}}}", deep("(", "1", ")")),
            format!("{{{{ {} }}}}", deep("[", "1", "]")),
            format!("{{{{ {} }}}}", deep("{1: ", "1", "}")),
            format!("{{{{ {} }}}}", deep("not ", "1", "")),
            format!("{{{{ {} }}}}", deep("- ", "1", "")),
            format!("{{{{ {} }}}}", deep("1 + ", "1", "")),
            format!("{{{{ {} }}}}", deep("", "a", " | upper")),
            format!("{{{{ {} }}}}", deep("", "a", ".b")),
            format!("{{{{ {} }}}}", deep("1 if 1 else ", "1", "")),
            deep("{% if a %}", "", "{% endif %}"),
            deep("{% for a in b %}", "", "{% endfor %}"),
            format!("{{% if a %}}{}{{% endif %}}", deep("{% elif a %}", "", "")),
        ] {
            assert!(Compiled::new(&jinja, None, Options::default()).is_err(), "{}", &jinja[..40]);
        }
        let grown =
            "{% set n = namespace(x=[]) %}{% for i in range(200000) %}{% set n.x = [n.x] %}{% endfor %}";
        assert_eq!(render(&format!("{grown}done"), "{}").unwrap(), ["done"]);
        assert_eq!(message(&format!("{grown}{{{{ n.x }}}}")), "nested too deep to print");
        assert_eq!(message("{% set x = [] %}{{ x.append([x]) }}"), "a list or dictionary can't hold itself");
    }

    #[test]
    fn a_row_is_the_same_for_every_rendering() {
        let serde_json::Value::Object(row) = serde_json::json!({"xs": [1, [2]], "d": {"a": [3]}}) else {
            panic!()
        };
        let (fields, jinja) =
            (Fields::of(&row), "{{ xs[1].append(9) or '' }}{{ d.pop('a') }}{{ xs }}{{ d }}");
        let compiled = Compiled::new(jinja, None, Options::default()).unwrap();
        for _ in 0..2 {
            assert_eq!(compiled.render(&fields, 0).unwrap(), ["[3][1, [2, 9]]{}"]);
        }
    }

    #[test]
    fn chance_depends_on_the_seed_alone() {
        let jinja = "{{ xs | choice }}{{ xs | random }}{{ ['a', 'b'] | choice }}{{ answer_choices[0] }}";
        let compiled = Compiled::new(jinja, Some("{{ xs | choice }}"), Options::default()).unwrap();
        let serde_json::Value::Object(row) = serde_json::json!({"xs": "abcdefghijklmnopqrstuvwxyz"}) else {
            panic!()
        };
        let fields = Fields::of(&row);
        let of = |seed: u64| compiled.render(&fields, seed).unwrap();
        assert_eq!(of(7), of(7));
        assert!((0..9).any(|seed| of(seed) != of(7)));
        let mut asked = Vec::new();
        let drawn = compiled.render_with(&fields, &mut |n| {
            asked.push(n);
            asked.len() - 1
        });
        // Constants first, then the answer choices, then the rest.
        assert_eq!((asked, drawn.unwrap()), (vec![2, 26, 26, 26], vec!["cdab".to_owned()]));
    }

    #[test]
    fn names_are_told_apart_by_who_needs_them() {
        let jinja = "{% set a = b %}{{ a }}{{ c | default('x') }}{% if d is defined %}{{ d.e }}{% endif %}\
                     {% for f in g %}{{ f }}{{ loop.index }}{% endfor %}{{ range(h) }}{{ answer_choices[i] }}";
        let compiled = Compiled::new(jinja, Some("{{ k }}"), Options::default()).unwrap();
        let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<String>();
        assert_eq!(names(compiled.variables()), "bcdghik");
        assert_eq!(names(compiled.required()), "bghik");
    }

    #[test]
    fn faults_name_the_place_in_the_text_as_written() {
        let fault = |jinja: &str| {
            let fault = Compiled::new(jinja, None, Options { truncate: true })
                .and_then(|compiled| compiled.render(&Fields::of(&serde_json::Map::new()), 0));
            let Fault { message, line, span } = fault.unwrap_err();
            format!("{message} @ {} {}", line.unwrap_or(0), span.map_or("", |span| &jinja[span]))
        };
        let jinja = [
            "{{ a }} {{ b.c.d }}",
            "{{ a.b[0] }}{{ c[0].d }}",
            "{{ a }}\r\n{{ 1 + 'x'}}",
            "{{ a }}{% if %}",
            "{{ a | uper }}",
            "{{ rnge(3) }}",
        ];
        let said: Vec<String> = jinja.into_iter().map(fault).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        `b` is undefined @ 1 b.c
        `a` is undefined @ 1 a.b
        unsupported operand type(s) for +: 'int' and 'str' @ 2 1 + 'x'
        no valid Jinja: unexpected end of block @ 1 %}
        unknown filter `uper`; did you mean `upper`? @ 1 uper
        unknown function `rnge`; did you mean `range`? @ 1 rnge
        ");
    }
}
