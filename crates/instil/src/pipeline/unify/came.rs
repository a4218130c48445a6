//! One row on the road: read, taken apart, put together anew, counted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Lost, Numbers, Plans, UnifyRoad, quick};
use crate::convert::record::{Role, TaskExample, TaskPart, Turn};
use crate::convert::{Loss, Misfit, Record, Shape, first_error};
use crate::format::{Mixed, ObjectBuilder};
use crate::ledger::Ledger;
use crate::pipeline::convert::entries::{Entry, Format, Item, parse};
use crate::pipeline::convert::row::{other_shape, reject};
use crate::record::Origin;
use crate::reject::{Reason, Reject, Stage};
use crate::sink::{ObjectRow, ObjectWriter};
use crate::source::RawRow;
use crate::unify::content::Content;
use crate::unify::plan::{Apart, By, TaskPlan, TaskTemplate, WhereFrom};
use crate::unify::survey::Survey;
use crate::unify::{Bound, Drawn, Exemplar, Instruction, Level, Style};

/// Keys without a place are counted by their names as long as there are no more than so many.
const MOST_LOSSES: usize = 60;

/// The style of inputs that stand in a column of their own.
const FIELDS: &str = "plain";

/// What rows are counted as that are written as they were.
const AS_IT_WAS: &str = "as_it_was";

/// What became of an item.
pub(super) enum Came {
    /// It could not be read.
    Unread(Reject),
    /// A row, and what became of each of its instances.
    Row {
        /// Where it was read.
        origin: Origin,
        /// Its instances.
        made: Vec<Result<Made, Refused>>,
    },
}

/// An instance that isn't written.
pub(super) struct Refused {
    pub(super) reject: Reject,
    /// The number of its task, where it is known.
    task: Option<usize>,
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        Self { reject, task: None }
    }
}

/// A row of the output.
pub(super) struct Made {
    row: MadeRow,
    task: usize,
    /// How it was taken apart; none where it is written as it was.
    template: Option<usize>,
}

/// Where a row of the output is.
enum MadeRow {
    /// It is the next so many bytes of its batch's JSON.
    InBatch(usize),
    /// It stands alone, or among the arrays of its batch.
    Alone(ObjectRow),
}

impl Made {
    /// The row as JSON; `worked` is what it was made with.
    pub(super) fn shown(self, road: &UnifyRoad, worked: &Worked) -> Value {
        match self.row {
            MadeRow::InBatch(_) => serde_json::from_slice(&worked.json).unwrap_or_default(),
            MadeRow::Alone(ObjectRow::Json(json)) => serde_json::from_slice(&json).unwrap_or_default(),
            MadeRow::Alone(ObjectRow::InBatch) => unreachable!("what is shown is not put into arrays"),
            MadeRow::Alone(ObjectRow::Cells(cells)) => {
                let columns = road.to.columns().iter().map(|name| (*name).to_owned());
                Value::Object(columns.zip(cells.into_iter().map(Value::String)).collect())
            }
        }
    }
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Worked {
    pub(super) came: Vec<Came>,
    /// The JSON of its rows, one after the other, so that they are allocated and freed together.
    json: Vec<u8>,
    /// Its rows as arrays, where they stay in memory.
    arrays: Option<Result<ObjectBuilder, Mixed>>,
    lost: Lost,
    lost_keys: Lost,
    ambiguous: u64,
    as_it_was: u64,
}

impl Worked {
    /// For a batch, which becomes arrays where rows stay in memory.
    pub(super) fn new(in_memory: bool) -> Self {
        Self { arrays: in_memory.then(|| Ok(ObjectBuilder::default())), ..Self::default() }
    }

    fn lose(&mut self, what: &str) {
        count(&mut self.lost, what);
    }

    /// Adds an object of texts to the batch's arrays or its JSON.
    fn push(&mut self, pairs: &[(&str, &str)]) -> MadeRow {
        if let Some(row) = self.push_to_arrays(|built| built.push_texts(pairs)) {
            return row;
        }
        let begin = self.json.len();
        for (at, (key, text)) in pairs.iter().enumerate() {
            self.json.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
            self.json.extend_from_slice(key.as_bytes());
            self.json.extend_from_slice(b"\":");
            serde_json::to_writer(&mut self.json, text).expect("a text is JSON");
        }
        self.json.push(b'}');
        MadeRow::InBatch(self.json.len() - begin)
    }

    /// Adds a row to the arrays, as long as rows fit; none where rows don't stay in memory.
    fn push_to_arrays(
        &mut self,
        push: impl FnOnce(&mut ObjectBuilder) -> Result<(), Mixed>,
    ) -> Option<MadeRow> {
        let arrays = self.arrays.as_mut()?;
        if let Ok(built) = arrays
            && let Err(mixed) = push(built)
        {
            *arrays = Err(mixed);
        }
        Some(MadeRow::Alone(ObjectRow::InBatch))
    }

    /// Counts what no style has a place for.
    fn lose_around(&mut self, content: &Content<'_>) {
        for key in &content.extra {
            count(&mut self.lost_keys, key);
        }
        if content.has_system {
            self.lose("system");
        }
    }

    /// Adds a row of a shape: to the arrays, or by itself. Its prompt has so many bytes.
    fn push_row(&mut self, row: &Map<String, Value>, road: &UnifyRoad, bytes: usize) -> MadeRow {
        self.push_to_arrays(|built| built.push(row)).unwrap_or_else(|| {
            MadeRow::Alone(ObjectWriter::row(row, road.to.columns(), road.is_table, bytes))
        })
    }
}

fn count(lost: &mut Lost, what: &str) {
    match lost.get_mut(what) {
        Some(count) => *count += 1,
        None => drop(lost.insert(what.into(), 1)),
    }
}

/// What rows are written with: every task's plan, its words in their places in every style.
pub(super) struct Out<'a> {
    road: &'a UnifyRoad,
    tasks: &'a [(String, TaskPlan)],
    numbers: Numbers<'a>,
    /// By task, template and style.
    bound: Vec<Vec<Vec<Bound<'a>>>>,
    drawn: Drawn,
    fields: Style,
}

impl<'a> Out<'a> {
    pub(super) fn new(road: &'a UnifyRoad, plans: &'a Plans) -> Self {
        let bind = |template: &TaskTemplate| -> Vec<Bound<'a>> {
            road.styles.iter().map(|style| style.bind(&template.instruction)).collect()
        };
        let bound = plans.tasks.iter().map(|(_, plan)| plan.templates.iter().map(bind).collect()).collect();
        let numbers = plans.tasks.iter().enumerate().map(|(at, (task, _))| (task.as_str(), at)).collect();
        let fields = Style::built_in(FIELDS).expect("it is built in");
        Self { road, tasks: &plans.tasks, numbers, bound, drawn: Drawn::new(&road.styles), fields }
    }
}

/// Gives each record of an item, by its number, with the name of its task; tells where the item was read.
///
/// # Errors
/// When it could not be read.
pub(super) fn each_content(
    item: Item,
    column: Option<&str>,
    each: &mut impl FnMut(&Origin, usize, Result<(&str, &Content<'_>), Reject>),
) -> Result<Origin, Reject> {
    if let Ok(Entry { raw: RawRow::Piece(bytes, origin), format }) = &item
        && !format.is_tabbed
        && let Some(content) = quick::content(bytes, format.shape, column)
    {
        let task = content.task.as_deref().unwrap_or_else(|| task_of(&origin.source, false));
        each(origin, 0, Ok((task, &content)));
        return Ok(origin.clone());
    }
    let Entry { raw, format: Format { shape, has_cells, is_tabbed } } = item?;
    let row = parse(raw, has_cells, is_tabbed)?;
    for (at, read) in shape.read(&row.fields).into_iter().enumerate() {
        let read = read.map_err(|misfit| other_shape(&row, shape, misfit)).and_then(sound(shape));
        let unfit = |message: &str| Misfit {
            reason: Reason::Unfit,
            path: String::new(),
            message: message.to_owned(),
        };
        let content = read.and_then(|record| Content::of(record, column).map_err(unfit));
        match content {
            Ok(content) => {
                let task = content.task.as_deref().unwrap_or_else(|| task_of(&row.origin.source, is_tabbed));
                each(&row.origin, at, Ok((task, &content)));
            }
            Err(misfit) => each(&row.origin, at, Err(reject(&row, shape, &misfit))),
        }
    }
    Ok(row.origin)
}

/// A record without anything that no trainer could use.
fn sound(shape: &Shape) -> impl Fn(Record) -> Result<Record, Misfit> + '_ {
    move |record| match first_error(&record, shape) {
        None => Ok(record),
        Some(finding) => Err(Misfit {
            reason: finding.reason.expect("an error has a reason"),
            path: finding.path,
            message: finding.message,
        }),
    }
}

/// The task that a file's name says: up to its first point, and of CrossFit's without split, seed and size.
fn task_of(file: &str, is_tabbed: bool) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(name);
    match is_tabbed {
        true => stem.rsplitn(4, '_').nth(3).unwrap_or(stem),
        false => stem,
    }
}

/// A row of the new style.
///
/// # Panics
/// When a byte of the content would be missing in it, which no style can bring about.
pub(super) fn restyled(
    out: &Out<'_>,
    origin: &Origin,
    task: &str,
    number: u64,
    content: &Content<'_>,
    worked: &mut Worked,
    misfits: &mut Survey,
) -> Result<Made, Refused> {
    let known = out.numbers.get(task).copied();
    let refuse = |reason: Reason, why: &str, content: &Content<'_>| {
        let text = if content.prompt.is_empty() {
            content.definition().unwrap_or_default()
        } else {
            &content.prompt
        };
        Refused {
            reject: Reject::read(reason, origin.clone(), format!("{task}: {why}: {text}")),
            task: known,
        }
    };
    let Some(at) = known else {
        // The file has changed since it was surveyed.
        return Err(refuse(Reason::NotLifted, "the task wasn't there when its file was surveyed", content));
    };
    let plan = &out.tasks[at].1;
    let as_it_was = |reason: Reason, why: &str, worked: &mut Worked| {
        // A definition that stands apart has no place in a prompt that isn't made anew.
        let stays =
            !out.road.styles.is_empty() && !content.prompt.is_empty() && content.definition().is_none();
        if !(out.road.keep_rest && stays) {
            return Err(refuse(reason, why, content));
        }
        let (prompt, output) = (content.prompt.clone().into_owned(), &content.output);
        let written = out.road.to.write(&record(None, prompt, output, content));
        let written = written.map_err(|misfit| refuse(misfit.reason, &misfit.message, content))?;
        worked.as_it_was += 1;
        worked.lose_around(content);
        written.losses.kinds().into_iter().for_each(|loss| worked.lose(loss.word()));
        let row = worked.push_row(&written.row, out.road, content.prompt.len());
        Ok(Made { row, task: at, template: None })
    };
    let Some(Apart { template, fields, output, is_ambiguous }) = plan.apart(content) else {
        let why = plan.refused.as_deref().unwrap_or("it fits no template of the task");
        misfits.see(task, number, content);
        return as_it_was(Reason::NotLifted, why, worked);
    };
    let known = &plan.templates[template];
    let own = own(plan, known, content);
    let instruction = own.as_ref().unwrap_or(&known.instruction);
    if out.road.needs_definition() && instruction.definition.is_none() {
        return as_it_was(Reason::NoDefinition, "nothing says what is to be done", worked);
    }
    worked.ambiguous += u64::from(is_ambiguous);
    let road = out.road;
    let mut prompt = String::with_capacity(content.prompt.len() + 256);
    let style = match road.styles.len() {
        0 => None,
        1 => Some(0),
        _ => Some(out.drawn.at(number, 0)),
    };
    let begins = match style {
        None => out.fields.push_input(&fields, &mut prompt),
        Some(style) => match &own {
            Some(own) => road.styles[style].bind(own).push_prompt(&fields, &mut prompt),
            None => out.bound[at][template][style].push_prompt(&fields, &mut prompt),
        },
    };
    let mut from = 0;
    assert_eq!(begins.len(), fields.len(), "every content has its place");
    for (begin, (_, value)) in begins.into_iter().zip(&fields) {
        let stands = begin >= from && prompt.as_bytes()[begin..].starts_with(value.as_bytes());
        assert!(stands, "every byte of the content stands in the new prompt, in its order");
        from = begin + value.len();
    }
    // The losses.
    worked.lose_around(content);
    let level = style.map_or(Level::Task, |style| road.styles[style].level());
    if level == Level::Keyword && instruction.definition.is_some() {
        worked.lose("definition");
    }
    let drops_examples = match style {
        Some(style) => road.styles[style].drops_examples(instruction),
        None => !(instruction.positive.is_empty() && instruction.negative.is_empty()),
    };
    let object = match style {
        None if road.to.name == "super-ni-rows" && !road.is_table => {
            let definition = instruction.definition.as_deref().unwrap_or_default();
            lose_rest(worked, content, drops_examples);
            worked.push(&[("definition", definition), ("inputs", &prompt), ("targets", output)])
        }
        Some(_) if road.to.name == "prompt-completion" && !road.is_table => {
            lose_rest(worked, content, drops_examples);
            worked.push(&[("prompt", &prompt), ("completion", output)])
        }
        _ => {
            if style.is_some() && drops_examples {
                worked.lose("task_examples");
            }
            let record = record(style.is_none().then_some(instruction), prompt, output, content);
            let written =
                road.to.write(&record).map_err(|misfit| refuse(misfit.reason, &misfit.message, content))?;
            for loss in written.losses.kinds() {
                worked.lose(loss.word());
            }
            worked.push_row(&written.row, road, content.prompt.len())
        }
    };
    Ok(Made { row: object, task: at, template: Some(template) })
}

/// What pairs of texts have no place for.
fn lose_rest(worked: &mut Worked, content: &Content<'_>, drops_examples: bool) {
    if !content.references.is_empty() {
        worked.lose("references");
    }
    if drops_examples {
        worked.lose("task_examples");
    }
}

/// The instruction of a row that brings its own.
fn own(plan: &TaskPlan, known: &TaskTemplate, content: &Content<'_>) -> Option<Instruction> {
    let is_own = plan.where_from == WhereFrom::Own && known.by != By::Given;
    let part = content.part.as_deref().filter(|_| is_own)?;
    Some(Instruction {
        definition: part.definition.clone(),
        positive: part.positive.iter().flatten().map(Exemplar::from).collect(),
        negative: part.negative.iter().flatten().map(Exemplar::from).collect(),
        ..known.instruction.clone()
    })
}

/// A record of a prompt and its answer, with what holds for its task where that stands apart.
fn record(apart: Option<&Instruction>, prompt: String, output: &str, content: &Content<'_>) -> Record {
    let mut record = Record::of(vec![Turn::new(Role::User, prompt), Turn::new(Role::Assistant, output)]);
    record.references.clone_from(&content.references);
    record.task = apart.map(|instruction| {
        let examples = |examples: &[Exemplar]| {
            let example = |example: &Exemplar| TaskExample {
                input: example.input.clone(),
                output: example.output.clone(),
                explanation: example.explanation.clone(),
                extra: Map::new(),
            };
            (!examples.is_empty()).then(|| examples.iter().map(example).collect())
        };
        TaskPart {
            definition: instruction.definition.clone(),
            positive: examples(&instruction.positive),
            negative: examples(&instruction.negative),
            ..TaskPart::default()
        }
        .into()
    });
    record
}

/// Counts what became of a batch, and writes it.
pub(super) fn account(
    out: &Out<'_>,
    worked: Worked,
    ledger: &mut Ledger,
    writer: &mut ObjectWriter,
) -> crate::Result<()> {
    for (what, count) in worked.lost {
        *ledger.losses.entry((*what).to_owned()).or_default() += count;
    }
    for (key, count) in worked.lost_keys {
        let named = format!("{}:{key}", Loss::Extra.word());
        // Keys may be as many as rows, where they are values by mistake.
        let is_known = ledger.losses.contains_key(&named) || ledger.losses.len() < MOST_LOSSES;
        let word = if is_known { named } else { Loss::Extra.word().to_owned() };
        *ledger.losses.entry(word).or_default() += count;
    }
    if worked.ambiguous > 0 {
        *ledger.repairs.entry("ambiguous".to_owned()).or_default() += worked.ambiguous;
    }
    if worked.as_it_was > 0 {
        *ledger.repairs.entry(AS_IT_WAS.to_owned()).or_default() += worked.as_it_was;
    }
    // What went the usual way is counted together.
    let (mut read, mut alone, mut kept) = (0, 0, 0);
    let mut kept_of: BTreeMap<(usize, Option<usize>), u64> = BTreeMap::new();
    let mut json = worked.json.as_slice();
    for came in worked.came {
        let (origin, made) = match came {
            Came::Unread(reject) if reject.reason.stage() == Stage::Read => {
                ledger.enter(Stage::Read, 1);
                ledger.reject(reject.reason, None);
                writer.reject(&reject)?;
                continue;
            }
            // What is JSON and not the row that it should be was read, and is told from what could not be.
            Came::Unread(reject) => (reject.origin.clone(), vec![Err(reject.into())]),
            Came::Row { origin, made } => (origin, made),
        };
        read += 1;
        match made.len() {
            1 => alone += 1,
            many => ledger.enter(Stage::Convert, many as u64),
        }
        for (made, place) in made.into_iter().zip(0..) {
            match made {
                Ok(Made { row, task, template }) => {
                    kept += 1;
                    *kept_of.entry((task, template)).or_default() += 1;
                    match row {
                        MadeRow::InBatch(bytes) => {
                            let row;
                            (row, json) = json.split_at(bytes);
                            writer.push_json(row)?;
                        }
                        MadeRow::Alone(row) => writer.push(&row)?,
                    }
                    writer.origin(&origin, &out.tasks[task].0, place)?;
                }
                Err(Refused { reject, task }) => {
                    let at = reject.reason.stage();
                    if at != Stage::Convert {
                        ledger.leave(Stage::Convert);
                        ledger.enter(Stage::Lift, 1);
                    }
                    if at == Stage::Restyle {
                        ledger.leave(Stage::Lift);
                        ledger.enter(Stage::Restyle, 1);
                    }
                    ledger.reject(reject.reason, None);
                    if let Some(task) = task {
                        let set = ledger.set(&out.tasks[task].0);
                        set.rows += 1;
                        set.expected += 1;
                        set.reject(reject.reason);
                    }
                    writer.reject(&reject)?;
                }
            }
        }
    }
    if let Some(arrays) = worked.arrays {
        writer.push_batch(arrays.map(|mut built| built.finish()));
    }
    ledger.pass(Stage::Read, read, read);
    ledger.pass(Stage::Convert, alone, kept);
    for stage in [Stage::Lift, Stage::Restyle, Stage::Write] {
        ledger.pass(stage, kept, kept);
    }
    for ((task, template), count) in kept_of {
        let (name, plan) = &out.tasks[task];
        let set = ledger.set(name);
        set.rows += count;
        set.expected += count;
        set.kept += count;
        if let Some(template) = template {
            *set.templates.entry(plan.templates[template].instruction.task.clone()).or_default() += count;
        }
    }
    Ok(())
}
