//! Super-NaturalInstructions: a task with all of its instances in one object (spec/uit.md 1.3a).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::form::TaskForm;
use super::halves::{Halves, count_fields, count_structure, unfit};
use super::keys::{At, Keys, Misfit, lay_over, list, text, texts};
use super::loss::{Loss, Losses};
use super::record::{Record, Role, TaskExample, TaskPart, Turn};
use crate::reject::Reason;

/// A task with all of its instances.
pub(super) struct TaskFile;

impl TaskForm for TaskFile {
    fn read(&self, row: &Map<String, Value>) -> Vec<Result<Record, Misfit>> {
        read(row)
    }

    fn write(
        &self,
        records: &[Record],
        is_same: bool,
        losses: &mut Losses,
    ) -> Result<Map<String, Value>, Misfit> {
        write(records, is_same, losses)
    }

    fn fits(&self, row: &Map<String, Value>) -> bool {
        row.contains_key("Definition") && row.contains_key("Instances")
    }

    fn why(&self) -> String {
        "it has `Definition` and `Instances`".to_owned()
    }

    fn instances(&self) -> &'static str {
        "Instances"
    }
}

fn read(row: &Map<String, Value>) -> Vec<Result<Record, Misfit>> {
    let mut keys = Keys::of(row, At::Row);
    let instances = match read_instances(&mut keys) {
        Ok(instances) => instances,
        Err(misfit) => return vec![Err(misfit)],
    };
    let task = match read_task(keys) {
        Ok(task) => Arc::new(task),
        Err(misfit) => return vec![Err(misfit)],
    };
    let at = At::Row;
    let at = at.key("Instances");
    let record = |(index, instance)| read_instance(instance, at.index(index), &task);
    instances.iter().enumerate().map(record).collect()
}

fn read_instances<'a>(keys: &mut Keys<'a>) -> Result<&'a [Value], Misfit> {
    let at = At::Row;
    let at = at.key("Instances");
    let instances = list(keys.needed("Instances")?, &at)?;
    if instances.is_empty() {
        return Err(at.misfit(Reason::EmptyTarget, "the task has no instance"));
    }
    Ok(instances)
}

fn read_task(mut keys: Keys<'_>) -> Result<TaskPart, Misfit> {
    let at = At::Row;
    let definition = keys.needed("Definition")?;
    let words = match definition {
        // Older files have a string.
        Value::String(text) => vec![text.clone()],
        definition => texts(definition, &at.key("Definition"))?,
    };
    if !(definition.is_array() && words.len() == 1) {
        keys.spell("Definition", definition.clone());
    }
    let mut task = TaskPart { definition: Some(words.join("\n")), ..TaskPart::default() };
    task.positive = read_examples(&mut keys, "Positive Examples")?;
    task.negative = read_examples(&mut keys, "Negative Examples")?;
    (task.extra, task.spelling) = keys.rest();
    Ok(task)
}

fn read_examples(keys: &mut Keys<'_>, key: &'static str) -> Result<Option<Vec<TaskExample>>, Misfit> {
    let at = At::Row;
    let Some(examples) = keys.value(key) else { return Ok(None) };
    let at = at.key(key);
    let example = |(index, example)| {
        let mut keys = Keys::of_value(example, at.index(index))?;
        let (input, output) = (keys.needed_text("input")?, keys.needed_text("output")?);
        let explanation = keys.text("explanation")?;
        let (mut extra, spelling) = keys.rest();
        extra.extend(spelling);
        Ok(TaskExample { input, output, explanation, extra })
    };
    list(examples, &at)?.iter().enumerate().map(example).collect::<Result<_, _>>().map(Some)
}

fn read_instance(instance: &Value, at: At<'_>, task: &Arc<TaskPart>) -> Result<Record, Misfit> {
    let mut keys = Keys::of_value(instance, at)?;
    let input = keys.needed_text("input")?;
    let at_output = at.key("output");
    let output = keys.needed("output")?;
    let mut outputs = match output {
        Value::Array(outputs) => outputs.as_slice(),
        output => std::slice::from_ref(output),
    }
    .iter()
    .enumerate()
    .map(|(index, output)| match output {
        // Tasks of arithmetic have numbers, where the README of the collection says strings.
        Value::Number(number) => Ok(number.to_string()),
        output => text(output, &at_output.index(index)),
    })
    .collect::<Result<Vec<String>, Misfit>>()?;
    if !output.as_array().is_some_and(|outputs| outputs.iter().all(Value::is_string)) {
        keys.spell("output", output.clone());
    }
    if outputs.is_empty() {
        return Err(at_output.misfit(Reason::EmptyTarget, "there is no output"));
    }
    let references = outputs.split_off(1);
    let answer = outputs.remove(0);
    let mut record = Record::of(vec![Turn::new(Role::User, input), Turn::new(Role::Assistant, answer)]);
    record.references = references;
    record.task = Some(Arc::clone(task));
    (record.extra, record.spelling) = keys.rest();
    Ok(record)
}

/// The object of a task with these instances, which share the task of the first.
fn write(records: &[Record], is_same: bool, losses: &mut Losses) -> Result<Map<String, Value>, Misfit> {
    let task = records.first().and_then(|record| record.task.as_deref());
    let Some((task, definition)) = task.and_then(|task| Some((task, task.definition.as_deref()?))) else {
        return Err(unfit("there is no definition of a task"));
    };
    losses.add_if(task.id.is_some(), Loss::TaskId);
    losses.add_if(!task.allowed_outputs.is_empty(), Loss::AllowedOutputs);
    let examples = |examples: &[TaskExample]| -> Value {
        examples
            .iter()
            .map(|example| {
                let mut object = Map::new();
                object.insert("input".to_owned(), example.input.as_str().into());
                object.insert("output".to_owned(), example.output.as_str().into());
                if let Some(explanation) = &example.explanation {
                    object.insert("explanation".to_owned(), explanation.as_str().into());
                }
                lay_over(&mut object, &example.extra);
                Value::Object(object)
            })
            .collect()
    };
    let instances = records.iter().map(|record| write_instance(record, is_same, losses));
    let instances: Vec<Value> = instances.collect::<Result<_, _>>()?;
    let mut row = Map::new();
    row.insert("Definition".to_owned(), json!([definition]));
    for (key, list) in [("Positive Examples", &task.positive), ("Negative Examples", &task.negative)] {
        if let Some(list) = list.as_deref().or((!is_same).then_some(&[])) {
            row.insert(key.to_owned(), examples(list));
        }
    }
    row.insert("Instances".to_owned(), instances.into());
    if is_same {
        lay_over(&mut row, &task.spelling);
    }
    lay_over(&mut row, &task.extra);
    Ok(row)
}

fn write_instance(record: &Record, is_same: bool, losses: &mut Losses) -> Result<Value, Misfit> {
    let halves = Halves::of(record, losses);
    // Of the structure the references and the task's part have a place here.
    count_structure(&Record { references: Vec::new(), task: None, ..record.clone() }, losses);
    losses.add_if(halves.system.is_some(), Loss::System);
    count_fields(record, losses);
    let Some(completion) = halves.completion else {
        return Err(unfit("there is no output, which an instance has"));
    };
    let mut outputs = vec![completion];
    outputs.extend(record.references.iter().cloned());
    let mut instance = Map::new();
    if let Some(id) = &record.id {
        instance.insert("id".to_owned(), id.as_str().into());
    }
    instance.insert("input".to_owned(), halves.input.unwrap_or_default().into());
    instance.insert("output".to_owned(), outputs.into());
    if is_same {
        lay_over(&mut instance, &record.extra);
        lay_over(&mut instance, &record.spelling);
    } else {
        losses.add_if(!record.extra.is_empty(), Loss::Extra);
    }
    Ok(Value::Object(instance))
}
