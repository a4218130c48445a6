//! What became of each task: how it was read, who wrote its definition, and what the checks say of it.

use serde::Serialize;

use super::instruction::Instruction;
use super::plan::{By, Reading, TaskPlan, TaskTemplate, WhereFrom};
use super::verify::{Check, Verdict};
use crate::ledger::SetCount;

/// One template of one task: a line of the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// What is known of the instruction: its task's name, level, definition, fields and labels.
    #[serde(flatten)]
    pub instruction: Instruction,
    /// Rows that were read, of all templates of the task.
    pub rows: u64,
    /// Rows that were written, of this template.
    pub kept: u64,
    /// How a row is taken apart: `whole`, `keywords`, or the template with its slots in braces.
    pub template: String,
    /// Who wrote the definition: `source`, `rules`, `given`, or `nobody`.
    pub by: &'static str,
    /// The model's mark that was left off each output.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mark: &'static str,
    /// What the checks say of the definition.
    pub checks: Vec<Check>,
    /// Why rows of it weren't written, where they weren't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TaskReport {
    pub(crate) fn of(
        plan: &TaskPlan,
        template: &TaskTemplate,
        count: Option<&SetCount>,
        needs: bool,
    ) -> Self {
        let task = &template.instruction.task;
        let kept = count.and_then(|count| count.templates.get(task)).copied().unwrap_or(0);
        let not_kept = count.filter(|count| !count.rejects.is_empty()).map(|count| {
            let rejects: Vec<String> =
                count.rejects.iter().map(|(word, count)| format!("{count} {word}")).collect();
            rejects.join(", ")
        });
        let reason = match (&plan.refused, template.instruction.definition.is_none() && needs) {
            (Some(refused), _) => Some(refused.clone()),
            (None, true) if plan.where_from != WhereFrom::Own => Some(match template.reading {
                Reading::Whole => "no words are the same in all rows, and no definition was given".to_owned(),
                _ => "its rows hold names of fields alone, and no definition was given".to_owned(),
            }),
            (None, _) => not_kept,
        };
        let by = if plan.where_from == WhereFrom::Own && template.by == By::Nobody {
            By::Source
        } else {
            template.by
        };
        Self {
            instruction: template.instruction.clone(),
            rows: plan.rows,
            kept,
            template: match &template.reading {
                Reading::Whole => "whole".to_owned(),
                Reading::Keywords => "keywords".to_owned(),
                Reading::Template(pattern) => pattern.to_string(),
            },
            by: by.word(),
            mark: plan.mark,
            checks: template.checks.clone(),
            reason,
        }
    }

    /// Whether no rule could write its definition.
    pub fn needs_definition(&self) -> bool {
        self.by == By::Nobody.word()
    }

    /// The checks that didn't pass.
    pub fn findings(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict != Verdict::Pass)
    }
}
