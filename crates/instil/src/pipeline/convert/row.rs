//! One row of a shape as rows of another one.

use super::ConvertRoad;
use crate::convert::{Loss, Misfit, Record, Shape, Written, first_error, shape_of};
use crate::record::Row;
use crate::reject::{Reason, Reject};

/// The rows of the new shape that a row becomes.
pub(super) fn convert_row(
    road: &ConvertRoad,
    row: &Row,
    shape: &Shape,
) -> Vec<Result<(Written, Vec<Loss>), Reject>> {
    let mut made = Vec::new();
    let mut records = Vec::new();
    let instance = |index: usize| Some(format!("/{}/{index}", shape.instances()?));
    for (index, read) in shape.read(&row.fields).into_iter().enumerate() {
        let found =
            read.map_err(|misfit| other_shape(row, shape, misfit)).and_then(|record| {
                match first_error(&record, shape) {
                    None => Ok(record),
                    Some(finding) => Err(Misfit {
                        reason: finding.reason.expect("an error has a reason"),
                        path: instance(index).unwrap_or(finding.path),
                        message: finding.message,
                    }),
                }
            });
        match found {
            Ok(record) => records.extend(road.to.parts(record).into_iter().map(|part| (index, part))),
            Err(misfit) => made.push(Err(reject(row, shape, &misfit))),
        }
    }
    let written = |written: Result<Written, Misfit>, index: usize| match written {
        Ok(written) => {
            let losses = written.losses.kinds();
            Ok((written, losses))
        }
        Err(misfit) => {
            let path = instance(index).unwrap_or(misfit.path);
            Err(reject(row, shape, &Misfit { path, ..misfit }))
        }
    };
    if road.to.is_task() {
        let (indices, records): (Vec<usize>, Vec<Record>) = records.into_iter().unzip();
        let mut before = 0;
        for task in records.chunk_by(|a, b| a.task == b.task) {
            made.push(written(road.to.write_task(task), indices[before]));
            before += task.len();
        }
    } else {
        let write = |record: &Record| match &road.view {
            Some(view) => view.write(record),
            None => road.to.write(record),
        };
        made.extend(records.iter().map(|(index, record)| written(write(record), *index)));
    }
    made
}

/// A row that isn't of its file's shape, but of another one, is said to be that.
pub(in crate::pipeline) fn other_shape(row: &Row, shape: &Shape, misfit: Misfit) -> Misfit {
    if shape.fits(&row.fields) {
        return misfit;
    }
    match shape_of(&row.fields) {
        Some(other) => Misfit {
            reason: Reason::OtherShape,
            path: String::new(),
            message: format!("it is a row of `{}`, and its file is read as `{}`", other.name, shape.name),
        },
        None => misfit,
    }
}

/// A reject with what is wrong and the row as it was read; of a task's file, which may be large, its instance alone.
pub(in crate::pipeline) fn reject(row: &Row, shape: &Shape, misfit: &Misfit) -> Reject {
    let mut steps = misfit.path.split('/').skip(1);
    let part = match (steps.next(), steps.next().and_then(|index| index.parse::<usize>().ok())) {
        (Some(key), Some(index)) if shape.instances() == Some(key) => {
            row.fields.get(key).and_then(|all| all.get(index))
        }
        _ => None,
    };
    let raw = match part {
        Some(part) => part.to_string(),
        None => serde_json::to_string(&row.fields).expect("fields are JSON"),
    };
    Reject::read(misfit.reason, row.origin.clone(), format!("{misfit}: {raw}"))
}
