//! The prompt of Tk-Instruct: a task of Super-NaturalInstructions as one text (spec/uit.md 1.3a).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{Form, Kind, holds_text, is_asked};
use super::halves::{Halves, count_fields, count_structure, unfit, wanted};
use super::keys::{At, Keys, Misfit};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, TaskExample, TaskPart, Turn};
use crate::reject::Reason;

const DEFINITION: &str = "Definition: ";
const QUERY: &str = "Now complete the following example -\n";
const INPUT: &str = "Input: ";
const OUTPUT: &str = "\n Output: ";
const EXPLANATION: &str = "\n Explanation: ";
const ANSWER: &str = "\nOutput: ";
const KINDS: [&str; 2] = ["Positive", "Negative"];
/// The positive examples that a row gets: those of the published model.
const POSITIVE: usize = 2;

/// What goes into a prompt.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// Whether the task's definition stands first.
    pub definition: bool,
    /// The most positive examples.
    pub positive: usize,
    /// The most negative examples.
    pub negative: usize,
    /// Whether examples say why they are right or wrong.
    pub explanations: bool,
    /// Whether a prompt is short enough. An example that would make it too long ends its list; definition and
    /// query are always there, so that the caller sees a prompt which is too long even so.
    pub fits: &'a dyn Fn(&str) -> bool,
}

impl Encoder<'_> {
    /// The prompt of one instance of a task.
    pub fn prompt(&self, task: &TaskPart, input: &str) -> String {
        let query = format!("{QUERY}{}{ANSWER}", pointed(INPUT, input));
        let mut prompt = match &task.definition {
            Some(definition) if self.definition => format!("{}\n\n", pointed(DEFINITION, definition)),
            _ => String::new(),
        };
        for ((examples, most), kind) in
            [(&task.positive, self.positive), (&task.negative, self.negative)].into_iter().zip(KINDS)
        {
            for (index, example) in examples.iter().flatten().take(most).enumerate() {
                let block = self.example(kind, index + 1, example);
                if !(self.fits)(&format!("{prompt}{block}{query}")) {
                    break;
                }
                prompt += &block;
            }
        }
        prompt + &query
    }

    fn example(&self, kind: &str, number: usize, example: &TaskExample) -> String {
        let explanation = match &example.explanation {
            Some(explanation) if self.explanations => pointed(EXPLANATION, explanation),
            _ => String::new(),
        };
        let (input, output) = (pointed(INPUT, &example.input), pointed(OUTPUT, &example.output));
        format!(" {kind} Example {number} -\n{input}{output}{explanation}\n\n")
    }
}

/// A text without blanks around it after its label, with a point where what is then there ends in no ASCII
/// punctuation: of an empty text that is the blank of its label.
fn pointed(label: &str, text: &str) -> String {
    let mut pointed = format!("{label}{}", text.trim());
    if !pointed.ends_with(|last: char| last.is_ascii_punctuation()) {
        pointed.push('.');
    }
    pointed
}

/// `prompt` and `completion`, the prompt as Tk-Instruct has it: definition, two positive examples, query.
pub(super) struct TkInstruct;

impl Form for TkInstruct {
    fn read(&self, keys: &mut Keys<'_>) -> Result<Record, Misfit> {
        let prompt = keys.needed_text("prompt")?;
        let completion = keys.needed_text("completion")?;
        let (task, input) = parse(&prompt).ok_or_else(|| {
            At::Row.key("prompt").misfit(Reason::BrokenMarkup, "it is not laid out as Tk-Instruct's prompt")
        })?;
        if whole(&task, input) != prompt {
            keys.spell("prompt", prompt.as_str().into());
        }
        let mut record =
            Record::of(vec![Turn::new(Role::User, input), Turn::new(Role::Assistant, completion)]);
        record.task = Some(Arc::new(task));
        Ok(record)
    }

    fn write(
        &self,
        record: &Record,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let halves = Halves::of(record, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        count_fields(record, losses);
        let task = record.task.as_deref().filter(|task| task.definition.is_some());
        let task = task.ok_or_else(|| unfit("there is no definition of a task"))?;
        let input = halves.input.unwrap_or_default();
        let completion = wanted(halves.completion, "output", "an instance of a task")?;
        let prompt = match is_same {
            true => whole(task, &input),
            false => {
                let shown = shown(task);
                // Of the task the definition and these examples have a place.
                count_structure(&Record { task: None, ..record.clone() }, losses);
                losses.add_if(task.id.is_some(), Loss::TaskId);
                losses.add_if(!task.allowed_outputs.is_empty(), Loss::AllowedOutputs);
                losses.add_if(!task.extra.is_empty(), Loss::TaskFacts);
                let left_out = shown.positive != task.positive
                    || task.negative.as_ref().is_some_and(|examples| !examples.is_empty());
                losses.add_if(left_out, Loss::TaskExamples);
                let is_changed = |text: &str| pointed(INPUT, text) != format!("{INPUT}{text}");
                losses.add_if(texts_of(&shown, &input).any(is_changed), Loss::Edges);
                refuse_markers(&shown, &input)?;
                whole(&shown, &input)
            }
        };
        Ok(Map::from_iter([
            ("prompt".to_owned(), prompt.into()),
            ("completion".to_owned(), completion.into()),
        ]))
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let is_encoded = |prompt: &str| prompt.starts_with(DEFINITION) && prompt.contains(QUERY);
        row.get("prompt").and_then(Value::as_str).is_some_and(is_encoded) && holds_text(row, "completion")
    }

    fn why(&self) -> String {
        format!("`prompt` begins with `{DEFINITION}` and ends with `{}`", QUERY.trim())
    }

    fn kind(&self) -> Kind {
        Kind::Tuning
    }

    fn columns(&self) -> &'static [&'static str] {
        &["prompt", "completion"]
    }

    fn path(&self, record: &Record, turn: usize) -> String {
        if is_asked(record, turn) { "/prompt" } else { "/completion" }.to_owned()
    }
}

/// A prompt with everything that a task has.
fn whole(task: &TaskPart, input: &str) -> String {
    let most = usize::MAX;
    Encoder { definition: true, positive: most, negative: most, explanations: true, fits: &|_| true }
        .prompt(task, input)
}

/// What of a task stands in a row: its definition, and two positive examples without their explanations.
fn shown(task: &TaskPart) -> TaskPart {
    let bare = |example: &TaskExample| TaskExample {
        input: example.input.clone(),
        output: example.output.clone(),
        ..TaskExample::default()
    };
    let positive = task.positive.as_ref();
    let positive = positive.map(|examples| examples.iter().take(POSITIVE).map(bare).collect());
    TaskPart { definition: task.definition.clone(), positive, ..TaskPart::default() }
}

/// The texts that a prompt is made of.
fn texts_of<'a>(task: &'a TaskPart, input: &'a str) -> impl Iterator<Item = &'a str> {
    let examples = task.positive.iter().flatten().flat_map(|example| [&*example.input, &*example.output]);
    task.definition.as_deref().into_iter().chain([input]).chain(examples)
}

/// A text that holds a heading of the prompt would change what it is made of.
fn refuse_markers(task: &TaskPart, input: &str) -> Result<(), Misfit> {
    let headings = [" Positive Example ", " Negative Example ", QUERY.trim(), OUTPUT, EXPLANATION, ANSWER];
    match texts_of(task, input).find_map(|text| headings.into_iter().find(|heading| text.contains(heading))) {
        None => Ok(()),
        Some(heading) => Err(Misfit {
            reason: Reason::MarkerInText,
            path: String::new(),
            message: format!("a text holds `{}`, a heading of the prompt", heading.trim()),
        }),
    }
}

/// Definition and examples of a prompt, and the input that it ends with.
fn parse(prompt: &str) -> Option<(TaskPart, &str)> {
    let (head, query) = prompt.rsplit_once(QUERY)?;
    let input = query.strip_prefix(INPUT)?.strip_suffix(ANSWER)?;
    let mut rest = head.strip_prefix(DEFINITION)?;
    let mut lists = [Vec::new(), Vec::new()];
    let begins = |kind: &str, number: usize| format!(" {kind} Example {number} -\n");
    // Where the definition ends: before the first example, or before the query.
    let end = KINDS.iter().filter_map(|kind| rest.find(&begins(kind, 1))).min().unwrap_or(rest.len());
    let definition = rest[..end].strip_suffix("\n\n")?;
    rest = &rest[end..];
    for (list, kind) in lists.iter_mut().zip(KINDS) {
        while let Some(block) = rest.strip_prefix(&*begins(kind, list.len() + 1)) {
            let next = [begins(kind, list.len() + 2), begins("Negative", 1)];
            let end = next.iter().filter_map(|next| block.find(next.as_str())).min().unwrap_or(block.len());
            list.push(parse_example(&block[..end])?);
            rest = &block[end..];
        }
    }
    let [positive, negative] = lists.map(|list| Some(list).filter(|list| !list.is_empty()));
    rest.is_empty().then(|| (TaskPart { positive, negative, ..TaskPart::of(definition) }, input))
}

fn parse_example(block: &str) -> Option<TaskExample> {
    let (input, rest) = block.strip_prefix(INPUT)?.strip_suffix("\n\n")?.split_once(OUTPUT)?;
    let (output, explanation) = match rest.split_once(EXPLANATION) {
        Some((output, explanation)) => (output, Some(explanation.to_owned())),
        None => (rest, None),
    };
    let (input, output) = (input.to_owned(), output.to_owned());
    Some(TaskExample { input, output, explanation, extra: Map::new() })
}
