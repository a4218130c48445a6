//! Tasks with a few instances each: Self-Instruct and Unnatural Instructions (spec/uit.md 1.3g, 1.3h).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::form::{TaskForm, holds_text};
use super::halves::{Halves, count_fields, count_structure, unfit, wanted, with_definition};
use super::keys::{At, Keys, Misfit, lay_over, list};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, TaskPart, Turn};
use crate::reject::Reason;

/// The key of the instances.
const INSTANCES: &str = "instances";
/// What Unnatural Instructions say of the outputs there are.
const CONSTRAINTS: &str = "constraints";
/// Instruction and input in one, which Unnatural Instructions have besides.
const WITH_INPUT: &str = "instruction_with_input";

/// An instruction with its instances.
pub(super) struct Instructions {
    /// Whether instances say their constraints and have instruction and input in one, as those of Unnatural
    /// Instructions do. Their reformulations are kept as facts of the task.
    pub(super) is_unnatural: bool,
}

impl TaskForm for Instructions {
    fn read(&self, row: &Map<String, Value>) -> Vec<Result<Record, Misfit>> {
        match self.read_task(row) {
            Ok((task, instances)) => {
                let at = At::Row.key(INSTANCES);
                let record = |(index, instance)| self.read_instance(instance, at.index(index), &task);
                instances.iter().enumerate().map(record).collect()
            }
            Err(misfit) => vec![Err(misfit)],
        }
    }

    fn write(
        &self,
        records: &[Record],
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        let task = records.first().and_then(|record| record.task.as_deref()).cloned().unwrap_or_default();
        let mut row = Map::new();
        if let Some(name) = &task.id {
            row.insert("name".to_owned(), name.as_str().into());
        }
        losses.add_if(!task.allowed_outputs.is_empty(), Loss::AllowedOutputs);
        losses.add_if(!is_same && !task.extra.is_empty(), Loss::TaskFacts);
        let examples = [&task.positive, &task.negative].into_iter().flatten();
        losses.add_if(examples.into_iter().any(|list| !list.is_empty()), Loss::TaskExamples);
        let mut instances = Vec::with_capacity(records.len());
        let mut instruction = task.definition;
        for record in records {
            let mut halves = Halves::of(record, losses);
            if instruction.is_none() {
                // Without a definition what is asked is the instruction, as in Alpaca.
                instruction = halves.input.take();
            }
            let said = instruction.as_deref().ok_or_else(|| unfit("there is no instruction"))?;
            instances.push(self.write_instance(record, halves, said, is_same, losses)?);
        }
        row.insert("instruction".to_owned(), instruction.unwrap_or_default().into());
        row.insert(INSTANCES.to_owned(), instances.into());
        if is_same {
            lay_over(&mut row, &task.extra);
            lay_over(&mut row, &task.spelling);
        }
        Ok(row)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        let first = row.get(INSTANCES).and_then(Value::as_array).and_then(|instances| instances.first());
        let has = |key: &str| first.is_some_and(|instance| instance.get(key).is_some());
        holds_text(row, "instruction")
            && has("input")
            && has("output")
            && (!self.is_unnatural || has(WITH_INPUT) || has(CONSTRAINTS))
    }

    fn why(&self) -> String {
        let besides = if self.is_unnatural {
            format!(", with `{WITH_INPUT}` or `{CONSTRAINTS}`")
        } else {
            String::new()
        };
        format!("`instruction` is a text and `{INSTANCES}` a list of `input` and `output`{besides}")
    }

    fn instances(&self) -> &'static str {
        INSTANCES
    }
}

impl Instructions {
    fn read_task<'a>(&self, row: &'a Map<String, Value>) -> Result<(Arc<TaskPart>, &'a [Value]), Misfit> {
        let mut keys = Keys::of(row, At::Row);
        let mut task = TaskPart::of(keys.needed_text("instruction")?);
        task.id = keys.text("name")?;
        let at = At::Row.key(INSTANCES);
        let instances = list(keys.needed(INSTANCES)?, &at)?;
        if instances.is_empty() {
            return Err(at.misfit(Reason::EmptyTarget, "the task has no instance"));
        }
        (task.extra, task.spelling) = keys.rest();
        Ok((Arc::new(task), instances))
    }

    fn read_instance(&self, instance: &Value, at: At<'_>, task: &Arc<TaskPart>) -> Result<Record, Misfit> {
        let mut keys = Keys::of_value(instance, at)?;
        let input = keys.needed_text("input")?;
        let output = keys.needed_text("output")?;
        let mut record = Record::of(vec![Turn::new(Role::User, input), Turn::new(Role::Assistant, output)]);
        if self.is_unnatural {
            if let Some(constraints) = keys.text(CONSTRAINTS)? {
                record.fields.insert(CONSTRAINTS.to_owned(), constraints);
            }
            // It says nothing that instruction and input don't.
            if let Some(whole) = keys.text(WITH_INPUT)? {
                keys.spell(WITH_INPUT, whole.into());
            }
        }
        record.task = Some(Arc::clone(task));
        (record.extra, record.spelling) = keys.rest();
        Ok(record)
    }

    fn write_instance(
        &self,
        record: &Record,
        halves: Halves,
        instruction: &str,
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Value, Misfit> {
        // Of the structure the task's part has a place here, and is seen to by the caller.
        count_structure(&Record { task: None, ..record.clone() }, losses);
        losses.add_if(halves.system.is_some(), Loss::System);
        if !(self.is_unnatural && record.fields.keys().all(|name| name == CONSTRAINTS)) {
            count_fields(record, losses);
        }
        let input = halves.input.unwrap_or_default();
        let output = wanted(halves.completion, "output", "an instance")?;
        let mut instance = Map::with_capacity(4);
        match &record.id {
            Some(id) if is_same => drop(instance.insert("id".to_owned(), id.as_str().into())),
            Some(_) => losses.add(Loss::Id),
            None => {}
        }
        instance.insert("input".to_owned(), input.as_str().into());
        if self.is_unnatural {
            let constraints = record.fields.get(CONSTRAINTS).map(String::as_str);
            if let Some(constraints) = constraints.or((!is_same).then_some("None.")) {
                instance.insert(CONSTRAINTS.to_owned(), constraints.into());
            }
            if !is_same {
                instance.insert(WITH_INPUT.to_owned(), with_definition(instruction, &input).into());
            }
        }
        instance.insert("output".to_owned(), output.into());
        if is_same {
            lay_over(&mut instance, &record.extra);
            lay_over(&mut instance, &record.spelling);
        } else {
            losses.add_if(!record.extra.is_empty(), Loss::Extra);
        }
        Ok(Value::Object(instance))
    }
}
