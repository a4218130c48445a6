//! The road from one instruction style to another: rows become instances without instructions, and these become rows
//! of the new style.
//!
//! ```text
//! rows -> record -> lift -> restyle -> sink
//! ```
//!
//! The files are read twice: first every task's rows are surveyed, so that its instruction can be taken apart from its
//! instances; then they are written. Where rows come up in the second reading that the plan of their task doesn't fit,
//! the plan is made anew with some of them, and the second reading begins again.

mod came;
mod quick;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use self::came::{Came, Out, Refused, Worked, account, each_content, restyled};
use super::Ended;
use super::convert::entries::{Batch, Entries};
use super::convert::{ConvertRoad, FileShape};
use super::in_order::in_order;
use crate::convert::Shape;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::record::Origin;
use crate::rng;
use crate::sink::ObjectWriter;
use crate::source::SourceFile;
use crate::transfer::Task;
use crate::unify::content::Content;
use crate::unify::plan::{By, Given, TaskPlan, WhereFrom};
use crate::unify::survey::Survey;
use crate::unify::{Field, Instance, Level, Style, passes};

/// More tasks than so many are rows by mistake.
const TASKS: usize = 20_000;
/// How often plans are made anew.
const ROUNDS: usize = 3;
/// A task is refused of whose rows more than one in so many fits no template (spec/uit.md 8.1).
const MISFITS: u64 = 20;

/// What is made of each row.
pub struct UnifyRoad {
    /// The shape of all rows; none where each file's is found out.
    pub from: Option<&'static Shape>,
    /// The shape that they get.
    pub to: &'static Shape,
    /// The level that instructions get.
    pub level: Level,
    /// The styles that are drawn from; none where definition and input stand in columns of their own.
    pub styles: Vec<Style>,
    /// The column that names a row's task.
    pub task_column: Option<String>,
    /// Whether rows that rules can't bring to the style are written as they are.
    pub keep_rest: bool,
    /// The seed that every random choice comes from.
    pub seed: u64,
    /// Whether the output is a table of texts.
    pub is_table: bool,
    /// The most rows read of all files.
    pub limit: u64,
    /// What is given besides the rows.
    pub(crate) given: Given,
}

/// How every task is read.
pub struct Plans {
    survey: Survey,
    pub(crate) tasks: Vec<(String, TaskPlan)>,
}

impl UnifyRoad {
    /// The road that reads files: nothing is converted on it.
    fn reading(&self) -> ConvertRoad {
        ConvertRoad {
            from: self.from,
            to: self.to,
            view: None,
            strict: false,
            is_table: false,
            limit: self.limit,
        }
    }

    /// Whether rows need a definition.
    pub(crate) fn needs_definition(&self) -> bool {
        self.level != Level::Keyword
    }

    /// Reads all rows once and plans how each task is read; none where it was broken off.
    ///
    /// # Errors
    /// When a file has no known shape, or there are more tasks than there can be.
    pub(crate) fn plan(
        &self,
        files: Vec<SourceFile>,
        threads: NonZeroUsize,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(Option<Plans>, Vec<FileShape>)> {
        let reading = self.reading();
        let mut entries = Entries::new(&reading, files);
        let mut rows = 0;
        let (ended, surveys) = in_order(
            threads,
            || entries.batch().map(|batch| (!batch.items.is_empty()).then_some(batch)),
            |survey: &mut Survey, batch: Batch| {
                let many = batch.items.len();
                let mut seeds = Seeds::new(self.seed);
                for item in batch.items {
                    // What can't be read is told when it can't be written.
                    let _ = each_content(item, self.task_column.as_deref(), &mut |origin, at, content| {
                        if let Ok((task, content)) = content {
                            survey.see(task, seeds.number(origin, at), content);
                        }
                    });
                }
                (many, survey.tasks.len())
            },
            |(many, tasks)| {
                if tasks > TASKS {
                    return Err(Error::input(format!("there are more than {TASKS} tasks"))
                        .with_hint("`--task-column` names the column that says which task a row is of"));
                }
                rows += many as u64;
                Ok(watch(rows))
            },
        )?;
        let found = std::mem::take(&mut entries.found);
        if ended == Ended::Interrupted {
            return Ok((None, found));
        }
        let mut survey = Survey::default();
        surveys.into_iter().for_each(|part| survey.add(part));
        let mut seen = survey.tasks.iter();
        let mut tasks = Vec::with_capacity(survey.tasks.len());
        in_order(
            threads,
            || Ok(seen.next()),
            |(): &mut (), (task, seen)| (task.clone(), TaskPlan::of(task, seen, &self.given)),
            |planned| {
                tasks.push(planned);
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok((Some(Plans { survey, tasks }), found))
    }

    /// Sends the rows of `files` down the road, each task read by its plan; gives the rows that no plan fits.
    ///
    /// `watch` sees the ledger after each batch and can break off.
    ///
    /// # Errors
    /// When the output can't be written. Troubles of single rows are rejects.
    pub(crate) fn send(
        &self,
        plans: &Plans,
        files: Vec<SourceFile>,
        threads: NonZeroUsize,
        writer: &mut ObjectWriter,
        watch: &mut dyn FnMut(&Ledger) -> ControlFlow<()>,
    ) -> Result<(Ledger, Ended, Misfits)> {
        let reading = self.reading();
        let mut entries = Entries::new(&reading, files);
        let out = Out::new(self, plans);
        let mut ledger = Ledger::of(&crate::reject::Stage::FROM_STYLES);
        let in_memory = writer.is_in_memory();
        let (ended, surveys) = in_order(
            threads,
            || entries.batch().map(|batch| (!batch.items.is_empty()).then_some(batch)),
            |misfits: &mut Survey, batch: Batch| {
                let mut worked = Worked::new(in_memory);
                let mut seeds = Seeds::new(self.seed);
                for item in batch.items {
                    let mut made = Vec::new();
                    let read = each_content(item, self.task_column.as_deref(), &mut |origin, at, content| {
                        made.push(content.map_err(Refused::from).and_then(|(task, content)| {
                            let number = seeds.number(origin, at);
                            restyled(&out, origin, task, number, content, &mut worked, misfits)
                        }));
                    });
                    worked.came.push(match read {
                        Ok(origin) => Came::Row { origin, made },
                        Err(reject) => Came::Unread(reject),
                    });
                }
                worked
            },
            |worked| {
                account(&out, worked, &mut ledger, writer)?;
                Ok(watch(&ledger))
            },
        )?;
        if ended == Ended::Interrupted {
            ledger.interrupt();
        }
        let mut misfits = Survey::default();
        surveys.into_iter().for_each(|part| misfits.add(part));
        Ok((ledger, ended, Misfits(misfits)))
    }

    /// What the first rows would come to, as the output's columns or JSON would show them.
    pub(crate) fn first(
        &self,
        plans: &Plans,
        files: Vec<SourceFile>,
        most: usize,
    ) -> Result<Vec<Result<serde_json::Value, crate::reject::Reject>>> {
        let reading = self.reading();
        let mut entries = Entries::new(&reading, files);
        let mut seeds = Seeds::new(self.seed);
        let out = Out::new(self, plans);
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(item) = entries.next()?
        {
            let read = each_content(item, self.task_column.as_deref(), &mut |origin, at, content| {
                if rows.len() == most {
                    return;
                }
                let (mut worked, mut misfits) = (Worked::default(), Survey::default());
                let made = content.map_err(Refused::from).and_then(|(task, content)| {
                    let number = seeds.number(origin, at);
                    restyled(&out, origin, task, number, content, &mut worked, &mut misfits)
                });
                rows.push(made.map(|made| made.shown(self, &worked)).map_err(|refused| refused.reject));
            });
            if let Err(reject) = read {
                rows.push(Err(reject));
            }
        }
        rows.truncate(most);
        Ok(rows)
    }
}

/// Rows that no plan fits, as their survey shows them.
pub(crate) struct Misfits(Survey);

impl Plans {
    /// The tasks that need a definition of this level and have none, or one by rules that fails a check; each with the rows
    /// of the sample that its template fits.
    pub(crate) fn unwritten(&self, to: Level) -> Vec<Task> {
        let mut unwritten = Vec::new();
        for (name, plan) in &self.tasks {
            if plan.refused.is_some() || plan.where_from == WhereFrom::Own {
                continue;
            }
            for (at, template) in plan.templates.iter().enumerate() {
                let is_wanted = match template.by {
                    By::Nobody => true,
                    By::Rules => !passes(&template.checks),
                    By::Source | By::Given => false,
                };
                if !is_wanted {
                    continue;
                }
                let row = |content: &Content| {
                    let apart = plan.apart(content).filter(|apart| apart.template == at)?;
                    let field = |(name, value): &(&str, &str)| Field {
                        name: (*name).to_owned(),
                        value: (*value).to_owned(),
                    };
                    Some(Instance {
                        fields: apart.fields.iter().map(field).collect(),
                        output: apart.output.to_owned(),
                        references: content.references.clone(),
                    })
                };
                let rows = self.survey.tasks[name].sample.values().filter_map(row).collect();
                unwritten.push(Task { source: template.instruction.clone(), to, rows });
            }
        }
        unwritten
    }

    /// Plans anew where rows came up that no plan fits; whether anything is different.
    pub(crate) fn mend(&mut self, misfits: Misfits, given: &Given, round: usize) -> bool {
        let mut is_different = false;
        for (task, seen) in misfits.0.tasks {
            let Some(at) = self.tasks.iter().position(|(known, _)| *known == task) else { continue };
            if self.tasks[at].1.refused.is_some() {
                continue;
            }
            let all = self.survey.tasks.get_mut(&task).expect("what is planned was surveyed");
            if round < ROUNDS {
                let old = &self.tasks[at].1;
                let mut with = all.clone();
                with.sample.extend(seen.sample.clone());
                let plan = TaskPlan::of(&task, &with, given);
                // Rows that are wrong are no reason to read the others otherwise.
                let is_better = !plan.reads_as(old)
                    && plan.fitting(&all.sample) >= old.fitting(&all.sample)
                    && 2 * plan.fitting(&seen.sample) >= seen.sample.len();
                if is_better {
                    *all = with;
                    self.tasks[at].1 = plan;
                    is_different = true;
                    continue;
                }
            }
            if MISFITS * seen.rows > all.rows {
                self.tasks[at].1.refused =
                    Some(format!("{} of {} rows fit no template that rules find", seen.rows, all.rows));
                is_different = true;
            }
        }
        is_different
    }
}

/// The random numbers of rows.
struct Seeds {
    seed: u64,
    /// That of the file before, of which the next row mostly is, too.
    of_file: Option<(Arc<str>, u64)>,
}

impl Seeds {
    fn new(seed: u64) -> Self {
        Self { seed, of_file: None }
    }

    /// That of the record `at` of a row.
    fn number(&mut self, origin: &Origin, at: usize) -> u64 {
        let of_file = match &self.of_file {
            Some((file, seed)) if *file == origin.source => *seed,
            _ => {
                let seed = rng::seed_of(self.seed, &[&origin.source]);
                self.of_file = Some((Arc::clone(&origin.source), seed));
                seed
            }
        };
        rng::nth(rng::nth(of_file, origin.row.unwrap_or(0)), at as u64)
    }
}

/// Tasks by name, for looking up.
type Numbers<'a> = HashMap<&'a str, usize>;

/// Losses of a batch.
type Lost = BTreeMap<Arc<str>, u64>;
