//! Values of Arrow arrays as JSON.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrowPrimitiveType, OffsetSizeTrait, types};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use serde_json::{Map, Number, Value};

/// The value at `index`, as a template is to see it.
///
/// Integers, booleans and strings stay what they are; lists become arrays, structs and maps objects.
/// A float that is no number or infinite becomes null, as JSON knows neither. Bytes without a type
/// become a string, as programs that leave out the type mean one. Dates, times, durations and decimals
/// become text as Arrow writes it, instants in UTC: `2026-03-01`, `2026-03-01T12:00:00Z`, `PT90S`, `12.50`.
///
/// # Errors
/// When bytes are not UTF-8, or the type has no form in JSON: a union.
pub(super) fn value(array: &dyn Array, index: usize) -> Result<Value, String> {
    if array.is_null(index) {
        return Ok(Value::Null);
    }
    let text = |bytes: &[u8]| match str::from_utf8(bytes) {
        Ok(text) => Ok(Value::from(text)),
        Err(error) => Err(format!("{} bytes that are no text: {error}", bytes.len())),
    };
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(index).into(),
        DataType::Int8 => native::<types::Int8Type>(array, index).into(),
        DataType::Int16 => native::<types::Int16Type>(array, index).into(),
        DataType::Int32 => native::<types::Int32Type>(array, index).into(),
        DataType::Int64 => native::<types::Int64Type>(array, index).into(),
        DataType::UInt8 => native::<types::UInt8Type>(array, index).into(),
        DataType::UInt16 => native::<types::UInt16Type>(array, index).into(),
        DataType::UInt32 => native::<types::UInt32Type>(array, index).into(),
        DataType::UInt64 => native::<types::UInt64Type>(array, index).into(),
        DataType::Float16 => float(native::<types::Float16Type>(array, index).to_f64()),
        DataType::Float32 => float(f64::from(native::<types::Float32Type>(array, index))),
        DataType::Float64 => float(native::<types::Float64Type>(array, index)),
        DataType::Utf8 => array.as_string::<i32>().value(index).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(index).into(),
        DataType::Utf8View => array.as_string_view().value(index).into(),
        DataType::Binary => text(array.as_binary::<i32>().value(index))?,
        DataType::LargeBinary => text(array.as_binary::<i64>().value(index))?,
        DataType::BinaryView => text(array.as_binary_view().value(index))?,
        DataType::FixedSizeBinary(_) => text(array.as_fixed_size_binary().value(index))?,
        DataType::List(_) => list::<i32>(array, index)?,
        DataType::LargeList(_) => list::<i64>(array, index)?,
        DataType::FixedSizeList(..) => all(&*array.as_fixed_size_list().value(index))?,
        DataType::ListView(_) => all(&*array.as_list_view::<i32>().value(index))?,
        DataType::LargeListView(_) => all(&*array.as_list_view::<i64>().value(index))?,
        DataType::Struct(_) => {
            let object = array.as_struct();
            let names = object.column_names();
            let fields = names.into_iter().zip(object.columns());
            let fields = fields.map(|(name, column)| Ok((name.to_owned(), value(column, index)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, String>>()?)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(index);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |at| Ok((key(value(keys, at)?), value(values, at)?));
            Value::Object((0..entries.len()).map(entry).collect::<Result<Map<_, _>, String>>()?)
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.keys();
            match value(keys, index)?.as_u64().and_then(|key| usize::try_from(key).ok()) {
                Some(key) if key < dictionary.values().len() => value(dictionary.values(), key)?,
                _ => return Err("a key that the dictionary does not have".to_owned()),
            }
        }
        // The time of a named zone would need a table of zones; the instant is the same in UTC.
        DataType::Timestamp(unit, Some(_)) => {
            let instant = cast(&array.slice(index, 1), &DataType::Timestamp(*unit, None));
            format!("{}Z", formatted(&*instant.map_err(|error| error.to_string())?, 0)?).into()
        }
        DataType::Timestamp(_, None)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => formatted(array, index)?.into(),
        kind @ (DataType::Union(..) | DataType::RunEndEncoded(..)) => {
            return Err(format!("{kind}, which has no form in JSON"));
        }
    })
}

fn formatted(array: &dyn Array, index: usize) -> Result<String, String> {
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
    formatter.value(index).try_to_string().map_err(|error| error.to_string())
}

fn native<T: ArrowPrimitiveType>(array: &dyn Array, index: usize) -> T::Native {
    array.as_primitive::<T>().value(index)
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn list<O: OffsetSizeTrait>(array: &dyn Array, index: usize) -> Result<Value, String> {
    let list = array.as_list::<O>();
    let offsets = list.value_offsets();
    let (start, end) = (offsets[index].as_usize(), offsets[index + 1].as_usize());
    (start..end).map(|at| value(list.values(), at)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn all(array: &dyn Array) -> Result<Value, String> {
    (0..array.len()).map(|at| value(array, at)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// A map's key, which need not be a string.
fn key(value: Value) -> String {
    match value {
        Value::String(key) => key,
        other => other.to_string(),
    }
}
