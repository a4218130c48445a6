//! Rows of every kind of table, and what is no row.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, DurationSecondArray,
    Float32Array, Float64Array, Int64Array, ListArray, MapArray, StringArray, StructArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::source::resolve;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Each row with its number, or a reject's word, number and raw text.
type Seen = Result<(Option<u64>, Value), (&'static str, Option<u64>, String)>;

fn parsed(raw: Result<RawRow, Reject>) -> Item {
    raw.and_then(RawRow::parse)
}

fn seen(items: impl Iterator<Item = Item>) -> Vec<Seen> {
    items
        .map(|item| {
            item.map(|row| (row.origin.row, Value::Object(row.fields)))
                .map_err(|reject| (reject.reason.word(), reject.origin.row, reject.raw))
        })
        .collect()
}

/// One file of this name, read.
fn read_bytes(name: &str, bytes: &[u8]) -> Vec<Seen> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    seen(open_rows(resolve(&[path.to_str().unwrap().to_owned()]).unwrap()).unwrap())
}

fn rows(name: &str, bytes: &[u8]) -> Vec<Value> {
    read_bytes(name, bytes).into_iter().map(|item| item.unwrap().1).collect()
}

fn reject(word: &'static str, row: Option<u64>, raw: &str) -> Seen {
    Err((word, row, raw.to_owned()))
}

#[test]
fn json_lines_keep_every_field_and_its_order() {
    let lines = "{\"b\": [1, {\"c\": null}], \"a\": \"x\u{2028}y\"}\n\n{\"n\": 1.5, \"yes\": true}\n";
    let expected = [
        (Some(1), json!({"b": [1, {"c": null}], "a": "x\u{2028}y"})),
        (Some(3), json!({"n": 1.5, "yes": true})),
    ];
    let expected: Vec<Seen> = expected.into_iter().map(Ok).collect();
    assert_eq!(read_bytes("a.jsonl", lines.as_bytes()), expected);
    assert_eq!(read_bytes("a.jsonl.gz", &gzip(lines.as_bytes())), expected);
    assert_eq!(read_bytes("a.ndjson.zst", &zstd::encode_all(lines.as_bytes(), 1).unwrap()), expected);
    let Ok((_, Value::Object(first))) = &expected[0] else { panic!() };
    assert_eq!(first.keys().collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_line_that_is_no_object_does_not_end_the_file() {
    let lines = b"{\"a\": 1}\nnull\n[1]\n{\"a\": \n{\"a\": \"\xff\"}\n{\"a\": 2}";
    assert_eq!(
        read_bytes("a.jsonl", lines),
        [
            Ok((Some(1), json!({"a": 1}))),
            reject("invalid_json", Some(2), "it is JSON, but not an object: null"),
            reject("invalid_json", Some(3), "it is JSON, but not an object: [1]"),
            reject("invalid_json", Some(4), "EOF while parsing a value at column 6: {\"a\": "),
            reject("invalid_utf8", Some(5), "not UTF-8 at byte 7 of the row: {\"a\": \"\u{fffd}\"}"),
            Ok((Some(6), json!({"a": 2}))),
        ]
    );
}

#[test]
fn an_array_is_read_element_by_element() {
    assert_eq!(
        read_bytes("a.json", b"\xef\xbb\xbf[{\"a\": 1}, 2, {\"a\": [\n3]}]"),
        [
            Ok((Some(1), json!({"a": 1}))),
            reject("invalid_json", Some(2), "it is JSON, but not an object: 2"),
            Ok((Some(3), json!({"a": [3]}))),
        ]
    );
    let cut = read_bytes("a.json.gz", &gzip(b"[{\"a\": 1}, {\"a\": 2}"));
    let raw = "the file ends in the middle of its data: the array's closing bracket is missing";
    assert_eq!(cut[2], reject("unreadable", Some(3), raw));
}

#[test]
fn a_cell_is_a_number_only_where_a_program_would_write_it_so() {
    for integer in
        ["0", "7", "-1", "42", "9223372036854775807", "-9223372036854775808", "18446744073709551615"]
    {
        assert_eq!(cell_value(integer).to_string(), integer);
    }
    for text in
        ["", "-", "-0", "+1", "00", "042", "1.0", "1e3", " 1", "1 ", "١", "0x1", "18446744073709551616"]
    {
        assert_eq!(cell_value(text), json!(text));
    }
    assert_eq!(
        rows("a.csv", b"text,label,code\r\n\"A \"\"b\"\",\nc\",1,007\r\n,-1,\r\n"),
        [
            json!({"text": "A \"b\",\nc", "label": 1, "code": "007"}),
            json!({"text": "", "label": -1, "code": ""})
        ]
    );
    assert_eq!(rows("a.tsv.gz", &gzip(b"a\tb\nx, y\t2\n")), [json!({"a": "x, y", "b": 2})]);
}

proptest! {
    #[test]
    fn a_cell_never_loses_its_text(cell in "-?[0-9]{0,22}|\\PC*") {
        let value = cell_value(&cell);
        prop_assert_eq!(value.as_str().map_or_else(|| value.to_string(), str::to_owned), cell);
    }
}

#[test]
fn a_bad_record_is_told_with_its_line() {
    assert_eq!(
        read_bytes("a.csv", b"a,b\n1\n\"x\ny\",2\n\xff,3\n"),
        [
            reject("invalid_row", Some(2), "1 fields, and the head has 2: 1"),
            Ok((Some(3), json!({"a": "x\ny", "b": 2}))),
            reject("invalid_utf8", Some(5), "\u{fffd},3"),
        ]
    );
    assert_eq!(
        read_bytes("a.csv", b"a,a\n1,2\n"),
        [reject("invalid_row", Some(2), "two columns are named `a`: 1,2")]
    );
}

#[test]
fn a_file_without_rows_is_told() {
    for (name, bytes) in [("a.csv", &b"a,b\n"[..]), ("a.jsonl", b"\n"), ("a.json", b"[]"), ("a.tsv", b"")] {
        assert_eq!(read_bytes(name, bytes), [reject("empty_text", None, "there is no row in it")], "{name}");
    }
}

#[test]
fn prose_holds_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.md"), "Prose.").unwrap();
    fs::write(folder.path().join("b.csv"), "a\n1\n").unwrap();
    fs::write(folder.path().join("c.jsonl"), b"\xff\xfe{\0").unwrap();
    let named = resolve(&[folder.path().join("a.md").to_str().unwrap().to_owned()]).unwrap();
    let error = open_rows(named).err().unwrap();
    assert!(error.to_string().ends_with("a.md` holds no rows"), "{error}");
    assert!(error.hint().unwrap().starts_with("rows are read from .jsonl"));
    let all = resolve(&[folder.path().to_str().unwrap().to_owned()]).unwrap();
    let items = seen(open_rows(all).unwrap());
    assert!(
        matches!(&items[0], Err(("unreadable", None, why)) if why.starts_with("it holds no rows")),
        "{items:?}"
    );
    assert_eq!(items[1], Ok((Some(2), json!({"a": 1}))));
    assert!(
        matches!(&items[2], Err(("unreadable", None, why)) if why.starts_with("it is UTF-16")),
        "{items:?}"
    );
}

#[test]
fn stdin_is_json_lines_unless_it_begins_otherwise() {
    assert_eq!(of_stream(b"{\"a\": 1}\n{"), Some(Kind::Jsonl));
    assert_eq!(of_stream(b"[{\"a\": 1}"), Some(Kind::Json));
    assert_eq!(of_stream(b"{\n\"a\": 1}"), Some(Kind::Json));
    assert_eq!(of_stream(b"a,b\n"), Some(Kind::Jsonl));
    assert_eq!(of_stream(b"\xff"), Some(Kind::Jsonl));
    assert_eq!(of_stream(b"PAR1"), Some(Kind::Parquet));
    let bytes = Box::new(io::Cursor::new(gzip(b"{\"a\": 1}\nno\n")));
    let items = seen(read(Place("stdin".into()), bytes, &Kind::Stream).unwrap().map(parsed));
    assert_eq!(items[0], Ok((Some(1), json!({"a": 1}))));
    assert!(matches!(&items[1], Err(("invalid_json", Some(2), _))));
    let items = seen(read(Place("stdin".into()), Box::new(&b"PAR1"[..]), &Kind::Stream).unwrap().map(parsed));
    assert_eq!(items, [reject("unreadable", None, PARQUET_NEEDS_A_FILE)]);
}

#[test]
fn what_is_read_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"a\": \"some text\"}\n".repeat(100_000);
    fs::write(folder.path().join("a.jsonl"), &lines).unwrap();
    fs::write(folder.path().join("b.csv"), "a\n1\n").unwrap();
    let mut rows = open_rows(resolve(&[folder.path().to_str().unwrap().to_owned()]).unwrap()).unwrap();
    let bytes = rows.read_bytes();
    for row in rows.by_ref().take(50_000) {
        row.unwrap();
    }
    let half = bytes.load(Ordering::Relaxed);
    assert!((800_000..1_900_000).contains(&half), "{half}");
    assert_eq!(rows.count(), 50_001);
    assert_eq!(bytes.load(Ordering::Relaxed), lines.len() as u64 + 4);
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn parquet_keeps_its_types() {
    let mut answers = ListBuilder::new(StringBuilder::new());
    answers.append_value([Some("a"), None]);
    answers.append_null();
    let list = |name| Arc::new(Field::new(name, DataType::Utf8, true));
    let text = StringArray::from(vec![Some("x\ny"), None]);
    let inner = StructArray::from(vec![
        (list("text"), Arc::new(text.clone()) as ArrayRef),
        (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1, 2]))),
    ]);
    let words: DictionaryArray<Int32Type> = vec!["yes", "no"].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(text)),
        ("label", Arc::new(Int64Array::from(vec![Some(-1), None]))),
        ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("is", Arc::new(BooleanArray::from(vec![true, false]))),
        ("f", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
        ("g", Arc::new(Float32Array::from(vec![0.5, f32::INFINITY]))),
        ("answers", Arc::new(answers.finish())),
        ("inner", Arc::new(inner)),
        ("word", Arc::new(words)),
        ("bytes", Arc::new(BinaryArray::from_vec(vec!["ä".as_bytes(), b""]))),
        ("day", Arc::new(Date32Array::from(vec![0, 20_513]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![0, 1500]).with_timezone("UTC"))),
        ("took", Arc::new(DurationSecondArray::from(vec![90, 0]))),
        ("price", Arc::new(Decimal128Array::from(vec![1250, -5]).with_precision_and_scale(10, 2).unwrap())),
    ];
    let expected = [
        json!({
            "text": "x\ny", "label": -1, "large": u64::MAX, "is": true, "f": 0.1, "g": 0.5, "answers": ["a", null],
            "inner": {"text": "x\ny", "n": 1}, "word": "yes", "bytes": "ä", "day": "1970-01-01",
            "at": "1970-01-01T00:00:00Z", "took": "PT90S", "price": "12.50",
        }),
        json!({
            "text": null, "label": null, "large": 0, "is": false, "f": null, "g": null, "answers": null,
            "inner": {"text": null, "n": 2}, "word": "no", "bytes": "", "day": "2026-03-01",
            "at": "1970-01-01T00:00:01.500Z", "took": "P0D", "price": "-0.05",
        }),
    ];
    let read = rows("a.parquet", &parquet(columns));
    for (row, expected) in read.iter().zip(&expected) {
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&row[name], value, "{name}");
        }
    }
    assert_eq!(read, expected);
}

#[test]
fn lists_maps_and_large_numbers_of_rows_are_read() {
    let mut numbers = ListBuilder::new(Int32Builder::new());
    for n in 0..3000 {
        numbers.append_value((0..n % 3).map(Some));
    }
    let numbers: ListArray = numbers.finish();
    let tail = numbers.slice(1, 2999);
    assert_eq!(arrow_value::value(&tail, 1).unwrap(), json!([0, 1]));
    let read = rows("a.parquet", &parquet(vec![("n", Arc::new(numbers))]));
    assert_eq!(read.len(), 3000);
    assert_eq!(read[2999], json!({"n": [0, 1]}));
    let map = MapArray::new_from_strings(["a", "b"].into_iter(), &Int64Array::from(vec![1, 2]), &[0, 2]);
    assert_eq!(
        rows("a.parquet", &parquet(vec![("m", Arc::new(map.unwrap()))])),
        [json!({"m": {"a": 1, "b": 2}})]
    );
}

#[test]
fn bytes_that_are_no_text_reject_their_row_only() {
    let bytes = BinaryArray::from_vec(vec![b"\xff", b"b"]);
    let items = read_bytes("a.parquet", &parquet(vec![("x", Arc::new(bytes))]));
    assert!(
        matches!(&items[0], Err(("invalid_row", Some(1), why)) if why.starts_with("column `x` holds 1 bytes that are no text")),
        "{items:?}"
    );
    assert_eq!(items[1], Ok((Some(2), json!({"x": "b"}))));
}

#[test]
fn damaged_parquet_is_told() {
    let mut bytes = parquet(vec![("x", Arc::new(StringArray::from(vec!["some text"; 5000])))]);
    let cut = read_bytes("a.parquet", &bytes[..bytes.len() - 6]);
    assert!(matches!(&cut[..], [Err(("unreadable", None, _))]), "{cut:?}");
    for byte in &mut bytes[8..40] {
        *byte = 0xee;
    }
    let items = read_bytes("a.parquet", &bytes);
    assert!(
        matches!(items.last(), Some(Err(("unreadable", Some(1), why))) if why.contains("rows 1 to 5000")),
        "{items:?}"
    );
}
