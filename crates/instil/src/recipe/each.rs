//! Steps that are written once and run several times.
//!
//! ```toml
//! [[step]]
//! for = { arm = ["raw", "rules"], seed = [1, 2, 3] }
//! verb = "train"
//! input = ["out/{arm}.jsonl"]
//! output = "out/{arm}-{seed}"
//! seed = "{seed}"
//! ```
//!
//! is six steps: one for each pair of values, the last name's values changing fastest. `{name}` stands for the value in any text
//! of the step; a text that is nothing else becomes the value itself, so that `seed` above is a number. Values that belong
//! together stand in a list of such tables: `for = [{ domain = "law", task = "nli" }, { domain = "news", task = "exqa" }]`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

/// More steps of one are a mistake.
const MOST: usize = 1000;

type Step<'a> = Spanned<DeValue<'a>>;

/// A name with one of its values.
type Bound<'a> = (String, DeValue<'a>);

/// The steps that a step of a recipe's `text` stands for: itself without `for`.
///
/// # Errors
/// When `for` is no table or list of tables, a list of values is empty or nests, a name isn't used, or the steps are too
/// many.
pub(super) fn expanded<'a>(mut step: Step<'a>, text: &str) -> Result<Vec<Step<'a>>> {
    let DeValue::Table(table) = step.get_mut() else { return Ok(vec![step]) };
    let Some(each) = table.remove("for") else { return Ok(vec![step]) };
    let line = 1 + text[..each.span().start].matches('\n').count();
    let fault = |message: String| Error::input(format!("{message} at line {line}"));
    let no_table = || fault("`for` is a table: for = { seed = [1, 2, 3] }".to_owned());
    let tables: Vec<DeTable<'a>> = match each.into_inner() {
        DeValue::Table(table) => vec![table],
        DeValue::Array(tables) => {
            let table = |table: Step<'a>| match table.into_inner() {
                DeValue::Table(table) => Ok(table),
                _ => Err(no_table()),
            };
            tables.into_iter().map(table).collect::<Result<_>>()?
        }
        _ => return Err(no_table()),
    };
    let mut steps = Vec::new();
    for table in tables {
        for bound in bounds(table, &step, &fault)? {
            steps.push(filled(&step, &bound));
        }
        if steps.len() > MOST {
            return Err(fault(format!("that is more than {MOST} steps")));
        }
    }
    Ok(steps)
}

/// Every combination of the values of a table's names.
fn bounds<'a>(
    table: DeTable<'a>,
    step: &Step<'a>,
    fault: &impl Fn(String) -> Error,
) -> Result<Vec<Vec<Bound<'a>>>> {
    // A table forgets the order of its keys where the parser sorts them; the places in the file know it.
    let mut names: Vec<_> = table.into_iter().collect();
    names.sort_by_key(|(name, _)| name.span().start);
    let mut all: Vec<Vec<Bound<'a>>> = vec![Vec::new()];
    for (name, values) in names {
        let name = name.into_inner().into_owned();
        let values: Vec<DeValue<'a>> = match values.into_inner() {
            DeValue::Array(values) => values.into_iter().map(Spanned::into_inner).collect(),
            value => vec![value],
        };
        let nests = |value: &DeValue<'a>| matches!(value, DeValue::Array(_) | DeValue::Table(_));
        if values.is_empty() || values.iter().any(nests) {
            return Err(fault(format!(
                "`{name}` of `for` is a list of texts or numbers, and has one at least"
            )));
        }
        if !holds(step.get_ref(), &format!("{{{name}}}")) {
            return Err(fault(format!("nothing in the step says `{{{name}}}`")));
        }
        let with = |bound: Vec<Bound<'a>>, value: &DeValue<'a>| {
            let more = (name.clone(), value.clone());
            bound.into_iter().chain([more]).collect()
        };
        all = all.iter().flat_map(|bound| values.iter().map(|value| with(bound.clone(), value))).collect();
        if all.len() > MOST {
            return Err(fault(format!("that is more than {MOST} steps")));
        }
    }
    Ok(all)
}

/// Whether any text of a value has a part.
fn holds(value: &DeValue<'_>, part: &str) -> bool {
    match value {
        DeValue::String(text) => text.contains(part),
        DeValue::Array(values) => values.iter().any(|value| holds(value.get_ref(), part)),
        DeValue::Table(table) => table.iter().any(|(_, value)| holds(value.get_ref(), part)),
        _ => false,
    }
}

/// A value with the names' values in its texts.
fn filled<'a>(value: &Step<'a>, bound: &[Bound<'a>]) -> Step<'a> {
    let with = match value.get_ref() {
        DeValue::String(text) => {
            let whole = bound.iter().find(|(name, _)| *text == format!("{{{name}}}"));
            match whole {
                Some((_, value)) => value.clone(),
                None => {
                    let text = bound.iter().fold(text.clone().into_owned(), |text, (name, value)| {
                        text.replace(&format!("{{{name}}}"), &shown(value))
                    });
                    DeValue::String(text.into())
                }
            }
        }
        DeValue::Array(values) => {
            let mut array = toml::de::DeArray::new();
            values.iter().for_each(|value| array.push(filled(value, bound)));
            DeValue::Array(array)
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), filled(value, bound)));
            DeValue::Table(entries.collect::<DeTable<'a>>())
        }
        other => other.clone(),
    };
    Spanned::new(value.span(), with)
}

/// A value as it stands in a text.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(is) => is.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::{Recipe, Step};

    #[test]
    fn a_step_is_run_for_every_pair_of_values() {
        let recipe = Recipe::parse(
            "version = 1\n[[step]]\nfor = { form = ['b', 'a'], seed = [1, 20] }\nverb = 'train'\ninput = ['{form}.jsonl', 'all']\n\
             model = 'm'\noutput = 'out/{form}-{seed}'\nseed = '{seed}'\n[[step]]\ninput = ['a']\noutput = '{form}'\n",
        )
        .unwrap();
        let told: Vec<(String, u64)> = recipe
            .step
            .iter()
            .map(|step| match step {
                Step::Train(step) => (format!("{} {}", step.input.join("+"), step.output), step.seed),
                other => (other.output().to_owned(), 0),
            })
            .collect();
        let told: Vec<(&str, u64)> = told.iter().map(|(told, seed)| (told.as_str(), *seed)).collect();
        assert_eq!(
            told,
            [
                ("b.jsonl+all out/b-1", 1),
                ("b.jsonl+all out/b-20", 20),
                ("a.jsonl+all out/a-1", 1),
                ("a.jsonl+all out/a-20", 20),
                ("{form}", 0),
            ]
        );
        // What is settled has no names left, and is the same again.
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
    }

    #[test]
    fn values_that_belong_together_stand_in_one_table() {
        let recipe = Recipe::parse(
            "version = 1\n[[step]]\nfor = [{ domain = 'law', task = 'nli', n = [1, 2] }, { domain = 'news', task = 'exqa', n = 1 }]\n\
             input = ['{domain}']\ntask = ['{task}']\noutput = 'out/{n}'\n",
        )
        .unwrap();
        let told: Vec<String> = recipe
            .step
            .iter()
            .map(|step| match step {
                Step::Generate(step) => format!("{} {} {}", step.input[0], step.task[0], step.output),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, ["law nli out/1", "law nli out/2", "news exqa out/1"]);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let say = |each: &str| {
            Recipe::parse(&format!(
                "version = 1\n[[step]]\ninput = ['a']\nfor = {each}\noutput = '{{seed}}{{arm}}'\n"
            ))
            .unwrap_err()
            .to_string()
        };
        insta::assert_snapshot!(say("3"), @"`for` is a table: for = { seed = [1, 2, 3] } at line 4");
        insta::assert_snapshot!(say("[3]"), @"`for` is a table: for = { seed = [1, 2, 3] } at line 4");
        insta::assert_snapshot!(say("{ seed = [[1]] }"), @"`seed` of `for` is a list of texts or numbers, and has one at least at line 4");
        insta::assert_snapshot!(say("{ seed = [] }"), @"`seed` of `for` is a list of texts or numbers, and has one at least at line 4");
        insta::assert_snapshot!(say("{ sede = [1] }"), @"nothing in the step says `{sede}` at line 4");
        let many = format!("{{ seed = {0:?}, arm = {0:?} }}", (0..40).collect::<Vec<_>>());
        insta::assert_snapshot!(say(&many), @"that is more than 1000 steps at line 4");
    }
}
