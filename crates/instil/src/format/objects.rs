//! Objects of any shape as Arrow arrays. Which columns there are, and of which types, is found out as objects come: a column
//! begins with the first object that has its key, and has the type of its first value that isn't null.
//!
//! JSON's values are booleans, whole numbers (`Int64`, and `UInt64` where one is too large), others (`Float64`), texts (`Utf8`),
//! lists and structs. Whole numbers among others are others, numbers among texts are texts, and no digit is lost on the way; a
//! column of nulls alone is `Null`.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, NullBufferBuilder, StringBuilder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, ListArray, NullArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray, UInt64Array, new_null_array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde_json::{Map, Number, Value};

/// A column has values of different types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// The column; of one that stands in others the keys on the way to it.
    pub column: String,
}

impl Mixed {
    fn here() -> Self {
        Self { column: String::new() }
    }

    fn below(self, key: &str) -> Self {
        let column = if self.column.is_empty() { key.to_owned() } else { format!("{key}.{}", self.column) };
        Self { column }
    }
}

impl fmt::Display for Mixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the column `{}` has values of different types", self.column)
    }
}

impl std::error::Error for Mixed {}

/// Collects objects as Arrow arrays.
///
/// ```
/// use instil::format::ObjectBuilder;
///
/// let mut builder = ObjectBuilder::default();
/// for row in [r#"{"a": 1}"#, r#"{"a": 2.5, "b": ["x"]}"#] {
///     builder.push(&serde_json::from_str(row)?)?;
/// }
/// let batch = builder.finish();
/// assert_eq!((batch.num_rows(), batch.num_columns()), (2, 2));
/// assert!(batch.column(1).is_null(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct ObjectBuilder(Objects);

impl ObjectBuilder {
    /// Adds a row.
    ///
    /// # Errors
    /// When a value is of another type than those before it. The builder is of no use afterwards.
    pub fn push(&mut self, object: &Map<String, Value>) -> Result<(), Mixed> {
        self.0.push(object)
    }

    /// Adds a row of texts under these keys, each of which comes once.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_texts(&mut self, texts: &[(&str, &str)]) -> Result<(), Mixed> {
        self.0.push_all(texts.iter().copied(), texts.len(), Values::push_text)
    }

    /// How many rows are in it.
    pub fn rows(&self) -> usize {
        self.0.len
    }

    /// How many bytes its longest column of texts has: there is room for 2³¹.
    pub fn text_bytes(&self) -> usize {
        self.0.text_bytes()
    }

    /// The rows as Arrow arrays; the builder is empty afterwards.
    pub fn finish(&mut self) -> RecordBatch {
        let objects = std::mem::take(&mut self.0);
        let options = RecordBatchOptions::new().with_row_count(Some(objects.len));
        let (fields, arrays) = parts(objects.fields);
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .expect("the fields are those of the arrays")
    }
}

/// Batches of objects with the columns that they have together, in the order in which columns came up.
///
/// # Errors
/// When a column is of different types in two batches.
pub fn together(mut batches: Vec<RecordBatch>) -> Result<(SchemaRef, Vec<RecordBatch>), Mixed> {
    let Some(first) = batches.first() else { return Ok((Arc::new(Schema::empty()), batches)) };
    let mut schema = first.schema();
    for batch in &batches[1..] {
        if *batch.schema_ref() != schema {
            schema = Arc::new(Schema::new(fields_of(schema.fields(), batch.schema_ref().fields())?));
        }
    }
    for batch in &mut batches {
        if *batch.schema_ref() != schema {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let arrays = schema.fields().iter().map(|field| {
                let fitted = fit(batch.column_by_name(field.name()), field, batch.num_rows());
                fitted.map_err(|mixed| mixed.below(field.name()))
            });
            let arrays = arrays.collect::<Result<_, _>>()?;
            *batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
                .expect("the arrays were made for the schema");
        }
    }
    Ok((schema, batches))
}

/// Values of one column.
#[derive(Debug)]
enum Values {
    /// So many, all of them null.
    Nulls(usize),
    Bools(BooleanBuilder),
    Ints(Int64Builder),
    /// With one that is too large for the others.
    Unsigned(UInt64Builder),
    Floats(Float64Builder),
    Texts(StringBuilder),
    Lists(Box<Lists>),
    Objects(Objects),
}

#[derive(Debug)]
struct Lists {
    items: Values,
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

#[derive(Debug)]
struct Objects {
    fields: Vec<(String, Values)>,
    valid: NullBufferBuilder,
    len: usize,
}

impl Default for Objects {
    fn default() -> Self {
        Self { fields: Vec::new(), valid: NullBufferBuilder::new(0), len: 0 }
    }
}

impl Objects {
    fn push(&mut self, object: &Map<String, Value>) -> Result<(), Mixed> {
        let values = object.iter().map(|(key, value)| (key.as_str(), value));
        self.push_all(values, object.len(), Values::push)
    }

    /// Adds an object of so many keys.
    fn push_all<'a, V>(
        &mut self,
        values: impl Iterator<Item = (&'a str, V)>,
        keys: usize,
        push: fn(&mut Values, V) -> Result<(), Mixed>,
    ) -> Result<(), Mixed> {
        let mut next = 0;
        for (key, value) in values {
            // Keys mostly come in the same order.
            let place = match self.fields.get(next) {
                Some((name, _)) if name == key => next,
                _ => self.place(key),
            };
            push(&mut self.fields[place].1, value).map_err(|mixed| mixed.below(key))?;
            next = place + 1;
        }
        self.valid.append_non_null();
        self.len += 1;
        if keys < self.fields.len() {
            let lacking = self.fields.iter_mut().filter(|(_, values)| values.len() < self.len);
            lacking.for_each(|(_, values)| values.push_null());
        }
        Ok(())
    }

    fn text_bytes(&self) -> usize {
        self.fields.iter().map(|(_, values)| values.text_bytes()).max().unwrap_or_default()
    }

    /// Where the column of this key is.
    fn place(&mut self, key: &str) -> usize {
        self.fields.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            self.fields.push((key.to_owned(), Values::Nulls(self.len)));
            self.fields.len() - 1
        })
    }

    fn push_null(&mut self) {
        self.valid.append_null();
        self.len += 1;
        self.fields.iter_mut().for_each(|(_, values)| values.push_null());
    }
}

impl Values {
    /// Values of the type that this one has, after so many nulls.
    fn like(value: &Value, nulls: usize) -> Self {
        let mut values = match value {
            Value::Null => return Self::Nulls(nulls),
            Value::Bool(_) => Self::Bools(BooleanBuilder::new()),
            Value::Number(number) if number.is_i64() => Self::Ints(Int64Builder::new()),
            Value::Number(number) if number.is_u64() => Self::Unsigned(UInt64Builder::new()),
            Value::Number(_) => Self::Floats(Float64Builder::new()),
            Value::String(_) => Self::Texts(StringBuilder::new()),
            Value::Array(_) => Self::Lists(Box::new(Lists {
                items: Self::Nulls(0),
                offsets: vec![0],
                valid: NullBufferBuilder::new(0),
            })),
            Value::Object(_) => Self::Objects(Objects::default()),
        };
        (0..nulls).for_each(|_| values.push_null());
        values
    }

    fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder as _;
        match self {
            Self::Nulls(len) => *len,
            Self::Bools(values) => values.len(),
            Self::Ints(values) => values.len(),
            Self::Unsigned(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Lists(lists) => lists.offsets.len() - 1,
            Self::Objects(objects) => objects.len,
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Nulls(len) => *len += 1,
            Self::Bools(values) => values.append_null(),
            Self::Ints(values) => values.append_null(),
            Self::Unsigned(values) => values.append_null(),
            Self::Floats(values) => values.append_null(),
            Self::Texts(values) => values.append_null(),
            Self::Lists(lists) => {
                lists.valid.append_null();
                lists.end();
            }
            Self::Objects(objects) => objects.push_null(),
        }
    }

    fn push_text(&mut self, text: &str) -> Result<(), Mixed> {
        if let Self::Nulls(nulls) = self {
            let mut texts = StringBuilder::new();
            (0..*nulls).for_each(|_| texts.append_null());
            *self = Self::Texts(texts);
        }
        match self {
            Self::Texts(texts) => texts.append_value(text),
            _ => return Err(Mixed::here()),
        }
        Ok(())
    }

    fn push(&mut self, value: &Value) -> Result<(), Mixed> {
        if let Self::Nulls(nulls) = self {
            *self = Self::like(value, *nulls);
        }
        match (&mut *self, value) {
            (_, Value::Null) => self.push_null(),
            (Self::Bools(values), Value::Bool(value)) => values.append_value(*value),
            (Self::Texts(values), Value::String(text)) => values.append_value(text),
            (Self::Texts(values), Value::Number(number)) => values.append_value(number.to_string()),
            (Self::Ints(values), Value::Number(number)) if number.is_i64() => {
                values.append_option(number.as_i64());
            }
            (Self::Unsigned(values), Value::Number(number)) if number.is_u64() => {
                values.append_option(number.as_u64());
            }
            (Self::Floats(values), Value::Number(number)) => values.append_value(float(number)?),
            (Self::Ints(_) | Self::Unsigned(_) | Self::Floats(_), Value::Number(_) | Value::String(_)) => {
                // The type that has both.
                let mut one = Self::like(value, 0);
                one.push(value)?;
                let one = one.finish();
                let before = std::mem::replace(self, Self::Nulls(0)).finish();
                let kind = type_of(before.data_type(), one.data_type())?;
                *self = Self::of_numbers(&fitted(&before, &kind)?, &fitted(&one, &kind)?);
            }
            (Self::Lists(lists), Value::Array(items)) => {
                items.iter().try_for_each(|item| lists.items.push(item))?;
                lists.valid.append_non_null();
                lists.end();
            }
            (Self::Objects(objects), Value::Object(object)) => objects.push(object)?,
            _ => return Err(Mixed::here()),
        }
        Ok(())
    }

    /// The values of two arrays of one type, which is that of numbers or texts.
    fn of_numbers(before: &dyn Array, one: &dyn Array) -> Self {
        match before.data_type() {
            DataType::UInt64 => {
                let both = [before, one].map(|array| array.as_primitive::<UInt64Type>().iter());
                let mut values = UInt64Builder::with_capacity(before.len() + 1);
                both.into_iter().flatten().for_each(|number| values.append_option(number));
                Self::Unsigned(values)
            }
            DataType::Float64 => {
                let both = [before, one].map(|array| array.as_primitive::<Float64Type>().iter());
                let mut values = Float64Builder::with_capacity(before.len() + 1);
                both.into_iter().flatten().for_each(|number| values.append_option(number));
                Self::Floats(values)
            }
            _ => {
                let both = [before, one].map(|array| array.as_string::<i32>().iter());
                let mut values = StringBuilder::new();
                both.into_iter().flatten().for_each(|text| values.append_option(text));
                Self::Texts(values)
            }
        }
    }

    /// How many bytes its longest column of texts has.
    fn text_bytes(&self) -> usize {
        match self {
            Self::Texts(values) => values.values_slice().len(),
            Self::Lists(lists) => lists.items.text_bytes(),
            Self::Objects(objects) => objects.text_bytes(),
            Self::Nulls(_) | Self::Bools(_) | Self::Ints(_) | Self::Unsigned(_) | Self::Floats(_) => 0,
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Nulls(len) => Arc::new(NullArray::new(len)),
            Self::Bools(mut values) => Arc::new(values.finish()),
            Self::Ints(mut values) => Arc::new(values.finish()),
            Self::Unsigned(mut values) => Arc::new(values.finish()),
            Self::Floats(mut values) => Arc::new(values.finish()),
            Self::Texts(mut values) => Arc::new(values.finish()),
            Self::Lists(lists) => {
                let Lists { items, offsets, mut valid } = *lists;
                let items = items.finish();
                let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::new(field, offsets, items, valid.finish()))
            }
            Self::Objects(Objects { fields, mut valid, len }) => {
                let (fields, arrays) = parts(fields);
                Arc::new(
                    StructArray::try_new_with_length(fields, arrays, valid.finish(), len)
                        .expect("the fields are those of the arrays"),
                )
            }
        }
    }
}

impl Lists {
    /// Ends a list with the items that are there.
    fn end(&mut self) {
        self.offsets.push(i32::try_from(self.items.len()).expect("a batch has fewer than 2^31 items"));
    }
}

/// The fields and the arrays of columns.
fn parts(columns: Vec<(String, Values)>) -> (Fields, Vec<ArrayRef>) {
    let part = |(name, values): (String, Values)| {
        let array = values.finish();
        (Field::new(name, array.data_type().clone(), true), array)
    };
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().map(part).unzip();
    (fields.into(), arrays)
}

/// The fields of both.
fn fields_of(a: &Fields, b: &Fields) -> Result<Fields, Mixed> {
    let mut fields: Vec<Field> = a.iter().map(|field| field.as_ref().clone()).collect();
    for field in b {
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => {
                let kind = type_of(known.data_type(), field.data_type())
                    .map_err(|mixed| mixed.below(field.name()))?;
                known.set_data_type(kind);
            }
            None => fields.push(field.as_ref().clone()),
        }
    }
    Ok(fields.into())
}

/// The type that values of both types have.
fn type_of(a: &DataType, b: &DataType) -> Result<DataType, Mixed> {
    Ok(match (a, b) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, kind) | (kind, DataType::Null) => kind.clone(),
        (a, b) if is_number(a) && is_number(b) => match (a, b) {
            (DataType::Float64, _) | (_, DataType::Float64) => DataType::Float64,
            _ => DataType::UInt64,
        },
        (DataType::Utf8, number) | (number, DataType::Utf8) if is_number(number) => DataType::Utf8,
        (DataType::List(a), DataType::List(b)) => {
            DataType::List(Arc::new(Field::new_list_field(type_of(a.data_type(), b.data_type())?, true)))
        }
        (DataType::Struct(a), DataType::Struct(b)) => DataType::Struct(fields_of(a, b)?),
        _ => return Err(Mixed::here()),
    })
}

fn is_number(kind: &DataType) -> bool {
    matches!(kind, DataType::Int64 | DataType::UInt64 | DataType::Float64)
}

/// An array as one of the field's type, which [`type_of`] has found; nulls where there is none.
fn fit(array: Option<&ArrayRef>, field: &Field, len: usize) -> Result<ArrayRef, Mixed> {
    match array {
        None => Ok(new_null_array(field.data_type(), len)),
        Some(array) => fitted(array, field.data_type()),
    }
}

/// An array as one of this type, which [`type_of`] has found.
fn fitted(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef, Mixed> {
    Ok(match (array.data_type(), kind) {
        (from, to) if from == to => Arc::clone(array),
        (DataType::Int64, DataType::UInt64) => {
            let numbers = array.as_primitive::<Int64Type>();
            let unsigned = numbers.try_unary::<_, UInt64Type, _>(u64::try_from);
            Arc::new(unsigned.map_err(|_| Mixed::here())?)
        }
        (DataType::Int64, DataType::Float64) => {
            let exact = |number: i64| exactly(number.into());
            Arc::new(array.as_primitive::<Int64Type>().try_unary::<_, Float64Type, _>(exact)?)
        }
        (DataType::UInt64, DataType::Float64) => {
            let exact = |number: u64| exactly(number.into());
            Arc::new(array.as_primitive::<UInt64Type>().try_unary::<_, Float64Type, _>(exact)?)
        }
        (from, DataType::Utf8) if is_number(from) => Arc::new(texts_of(array)),
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let items = fitted(list.values(), item.data_type())?;
            Arc::new(ListArray::new(Arc::clone(item), list.offsets().clone(), items, list.nulls().cloned()))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let (objects, len) = (array.as_struct(), array.len());
            let arrays = fields.iter().map(|field| {
                let fitted = fit(objects.column_by_name(field.name()), field, len);
                fitted.map_err(|mixed| mixed.below(field.name()))
            });
            let (arrays, nulls) = (arrays.collect::<Result<_, _>>()?, objects.nulls().cloned());
            Arc::new(
                StructArray::try_new_with_length(fields.clone(), arrays, nulls, len)
                    .expect("the arrays were made for the fields"),
            )
        }
        // Nulls alone.
        _ => new_null_array(kind, array.len()),
    })
}

/// A number as one with a fraction.
fn float(number: &Number) -> Result<f64, Mixed> {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    whole.map_or_else(|| number.as_f64().ok_or_else(Mixed::here), exactly)
}

/// A whole number as one with a fraction, if it is one: beyond 2⁵³ not all are.
fn exactly(number: i128) -> Result<f64, Mixed> {
    let float = number as f64;
    (float as i128 == number).then_some(float).ok_or_else(Mixed::here)
}

/// Numbers as JSON writes them.
fn texts_of(array: &ArrayRef) -> StringArray {
    let any = array.as_any();
    if let Some(numbers) = any.downcast_ref::<Int64Array>() {
        numbers.iter().map(|number| number.map(|number| number.to_string())).collect()
    } else if let Some(numbers) = any.downcast_ref::<UInt64Array>() {
        numbers.iter().map(|number| number.map(|number| number.to_string())).collect()
    } else {
        let numbers: &Float64Array = array.as_primitive();
        numbers.iter().map(|number| number.map(|number| Value::from(number).to_string())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::{Held, MemoryTable, open_rows, resolve_rows};

    fn built(rows: &[&str]) -> Result<RecordBatch, Mixed> {
        let mut builder = ObjectBuilder::default();
        rows.iter().try_for_each(|row| builder.push(&serde_json::from_str(row).unwrap()))?;
        assert_eq!(builder.rows(), rows.len());
        Ok(builder.finish())
    }

    /// The rows again, without what is null.
    fn rows_of(batch: &RecordBatch) -> Vec<Value> {
        fn bare(value: Value) -> Value {
            match value {
                Value::Array(items) => items.into_iter().map(bare).collect(),
                Value::Object(object) => object
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key, bare(value)))
                    .collect(),
                value => value,
            }
        }
        let table = MemoryTable::new(batch.schema(), vec![batch.clone()]).unwrap();
        let held = Held::new(&format!("objects of {:?}", std::thread::current().id()), table);
        let rows = open_rows(resolve_rows(&[held.input().to_owned()]).unwrap()).unwrap();
        rows.map(|row| bare(Value::Object(row.unwrap().fields))).collect()
    }

    #[test]
    fn columns_are_found_as_rows_come() {
        let batch = built(&[
            r#"{"a": "x", "n": 1}"#,
            r#"{"n": 2.5, "late": [{"b": true}, null, {"c": []}]}"#,
            r#"{"late": null, "a": null, "n": -3}"#,
        ])
        .unwrap();
        let column = |name: &str, kind| Field::new(name, kind, true);
        let list = |kind| DataType::List(Arc::new(Field::new_list_field(kind, true)));
        let parts = vec![column("b", DataType::Boolean), column("c", list(DataType::Null))];
        let expected = Fields::from(vec![
            column("a", DataType::Utf8),
            column("n", DataType::Float64),
            column("late", list(DataType::Struct(parts.into()))),
        ]);
        assert_eq!(*batch.schema_ref().fields(), expected);
        let expected = [
            json!({"a": "x", "n": 1.0}),
            json!({"n": 2.5, "late": [{"b": true}, null, {"c": []}]}),
            json!({"n": -3.0}),
        ];
        assert_eq!(rows_of(&batch), expected);
    }

    #[test]
    fn batches_are_put_together() {
        let parts = [
            vec![r#"{"a": null, "n": 1, "o": {"x": 1}}"#],
            vec![r#"{"n": 0.5, "a": "text", "l": [[1]]}"#, r#"{"o": {"y": "z"}}"#],
            vec![r#"{"l": [], "o": null}"#, r#"{"l": [[2.5], null]}"#],
        ];
        let all = built(&parts.concat()).unwrap();
        let batches = parts.iter().map(|part| built(part).unwrap()).collect();
        let (schema, batches) = together(batches).unwrap();
        assert_eq!(schema, all.schema());
        let rows: Vec<Value> = batches.iter().flat_map(rows_of).collect();
        assert_eq!(rows, rows_of(&all));
    }

    #[test]
    fn rows_of_texts_are_rows() {
        let mut builder = ObjectBuilder::default();
        builder.push(&serde_json::from_str(r#"{"b": "2"}"#).unwrap()).unwrap();
        builder.push_texts(&[("a", "3"), ("b", "4")]).unwrap();
        assert_eq!(
            rows_of(&builder.finish()),
            rows_of(&built(&[r#"{"b": "2"}"#, r#"{"a": "3", "b": "4"}"#]).unwrap())
        );
        assert_eq!(builder.rows(), 0);
    }

    #[test]
    fn values_of_different_types_have_no_column() {
        for (one, other, column) in [
            (r#"{"a": true}"#, r#"{"a": "1"}"#, "a"),
            // No type has both to the last digit.
            (r#"{"a": -1}"#, r#"{"a": 18446744073709551615}"#, "a"),
            (r#"{"a": [9007199254740993]}"#, r#"{"a": [0.5]}"#, "a"),
            (r#"{"a": 18446744073709551615}"#, r#"{"a": 0.5}"#, "a"),
            (r#"{"a": {"b": [1]}}"#, r#"{"a": {"b": [true]}}"#, "a.b"),
            (r#"{"a": [1]}"#, r#"{"a": 1}"#, "a"),
        ] {
            let mixed = Mixed { column: column.to_owned() };
            assert_eq!(built(&[one, other]).unwrap_err(), mixed);
            assert_eq!(together(vec![built(&[one]).unwrap(), built(&[other]).unwrap()]).unwrap_err(), mixed);
        }
        assert_eq!(
            Mixed { column: "a.b".into() }.to_string(),
            "the column `a.b` has values of different types"
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (rows, kind, expected) in [
            (["7", "18446744073709551615"], DataType::UInt64, [json!(7), json!(u64::MAX)]),
            (["9007199254740993", "null"], DataType::Int64, [json!(9_007_199_254_740_993_i64), Value::Null]),
            (["-1", "2.5"], DataType::Float64, [json!(-1.0), json!(2.5)]),
            (["1", "\"file:2\""], DataType::Utf8, [json!("1"), json!("file:2")]),
            (["0.5", "\"x\""], DataType::Utf8, [json!("0.5"), json!("x")]),
            (["18446744073709551615", "\"x\""], DataType::Utf8, [json!("18446744073709551615"), json!("x")]),
        ] {
            let column = |reversed: bool| {
                let mut rows = rows.map(|value| format!("{{\"a\": {value}}}"));
                let mut expected: Vec<Value> = expected.iter().map(|value| json!({"a": value})).collect();
                if reversed {
                    rows.reverse();
                    expected.reverse();
                }
                expected
                    .iter_mut()
                    .for_each(|row| row.as_object_mut().unwrap().retain(|_, value| !value.is_null()));
                (rows, expected)
            };
            for reversed in [false, true] {
                let (rows, expected) = column(reversed);
                let batch = built(&[&rows[0], &rows[1]]).unwrap();
                assert_eq!((batch.column(0).data_type(), rows_of(&batch)), (&kind, expected.clone()));
                let parts = rows.iter().map(|row| built(&[row]).unwrap()).collect();
                let (schema, batches) = together(parts).unwrap();
                assert_eq!(schema.field(0).data_type(), &kind);
                assert_eq!(batches.iter().flat_map(rows_of).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn objects_without_keys_are_rows() {
        let batch = built(&["{}", "{}"]).unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (2, 0));
        let late = built(&["{}", r#"{"a": 1}"#]).unwrap();
        let (_, batches) = together(vec![batch, late]).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
        assert!(batches[0].column(0).is_null(1));
    }
}
