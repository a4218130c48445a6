//! Tables of separated values, and parquet.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;

#[test]
fn a_table_is_read_by_its_head() {
    let csv = "\u{feff}id,text,n\r\nx,\"A \"\"cat\"\",\nsat.\",1\r\n,\" B. \",2\r\n";
    let items = read_bytes("a.csv", csv.as_bytes());
    assert_eq!(texts(&items), ["A \"cat\",\nsat.", " B. "]);
    let first = items[0].as_ref().unwrap();
    assert_eq!((first.id.as_str(), first.origin.row), ("x", Some(2)));
    let second = items[1].as_ref().unwrap();
    assert_eq!((second.id.len(), second.origin.row), (16, Some(4)));
    let rows: String = (0..5000).map(|row| format!("\"r{row}\r\n\n\"\r\n\r\n")).collect();
    let items = read_bytes("a.csv", format!("text\r\n{rows}").as_bytes());
    assert_eq!(items[4999].as_ref().unwrap().origin.row, Some(2 + 4999 * 4));
    assert_eq!(texts(&read_bytes("a.tsv.gz", &gzip(b"n\ttext\n1\tA, \"b\".\n"))), ["A, \"b\"."]);
}

#[test]
fn each_fault_of_a_table_has_its_reason_and_its_line() {
    let csv = b"text,n\nA.,1\n\nB.\nC.,2,3\n,4\n\xff,5\n\"D\nE\",6\nF.,7\n";
    let items = read_bytes("a.csv", csv);
    let good: Vec<_> =
        items.iter().flatten().map(|document| (document.text.as_str(), document.origin.row)).collect();
    assert_eq!(good, [("A.", Some(2)), ("D\nE", Some(8)), ("F.", Some(10))]);
    assert_eq!(
        rejects(&items),
        [
            ("invalid_row", Some(4), "1 fields, and the head has 2: B."),
            ("invalid_row", Some(5), "3 fields, and the head has 2: C.,2,3"),
            ("empty_text", Some(6), ",4"),
            ("invalid_utf8", Some(7), "\u{fffd},5"),
        ]
    );
    for bytes in [&b""[..], b"text,n\n"] {
        assert_eq!(rejects(&read_bytes("a.csv", bytes)), [("empty_text", None, "there is nothing in it")]);
    }
}

#[test]
fn the_text_of_a_table_is_the_column_that_is_no_number() {
    assert_eq!(texts(&read_bytes("a.csv", b"label,review\n0,Good.\n1,Bad.\n")), ["Good.", "Bad."]);
    assert_eq!(texts(&read_bytes("a.csv", b"text,review\n7,Good.\n")), ["7"]);
    let folder = Folder::new(&[("a.csv", b"label,review\npositive,Good.\n")]);
    let error = read_with(&[folder.path("a.csv")], &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "can't tell which column of `a.csv` holds the text");
    assert_eq!(error.hint(), Some("name it with `--text-column`; its columns are `label`, `review`"));
    let options = Options { text_column: Some("revew".to_owned()), id_column: None };
    let error = read_with(&[folder.path("a.csv")], &options).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `review`? its columns are `label`, `review`"));
}

#[test]
fn a_cut_table_keeps_its_rows() {
    let lines: String = (0..20_000).map(|i| format!("Row {}.\n", i * 7919 % 10_007)).collect();
    let mut packed = gzip(format!("text\n{lines}").as_bytes());
    packed.truncate(packed.len() / 2);
    let items = read_bytes("a.csv.gz", &packed);
    assert!(items.len() > 5_000);
    assert_eq!(items.iter().filter(|item| item.is_err()).count(), 1);
    assert!(items.last().unwrap().as_ref().unwrap_err().raw.starts_with("the file ends in the middle"));
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn numbers(count: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..count))
}

#[test]
fn strings_of_every_arrow_kind_are_text() {
    let strings = vec![Some("A."), None, Some(" "), Some("B.")];
    let kinds: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(strings.clone())),
        Arc::new(LargeStringArray::from(strings.clone())),
        Arc::new(StringViewArray::from(strings.clone())),
        Arc::new(strings.iter().copied().collect::<DictionaryArray<Int32Type>>()),
    ];
    for kind in kinds {
        let name = kind.data_type().to_string();
        let items = read_bytes("a.parquet", &parquet(vec![("n", numbers(4)), ("story", kind)]));
        let good: Vec<_> =
            items.iter().flatten().map(|document| (document.text.as_str(), document.origin.row)).collect();
        assert_eq!(good, [("A.", Some(1)), ("B.", Some(4))], "{name}");
        assert_eq!(rejects(&items), [("not_text", Some(2), "null"), ("empty_text", Some(3), "")], "{name}");
    }
}

#[test]
fn rows_are_read_in_order_over_groups_and_batches() {
    let rows: Vec<String> = (0..3500).map(|row| format!("Row {row}.")).collect();
    let text: ArrayRef = Arc::new(StringArray::from(rows.clone()));
    let items = read_bytes("a.parquet", &parquet(vec![("id", numbers(3500)), ("text", text)]));
    assert_eq!(texts(&items), rows);
    let last = items.last().unwrap().as_ref().unwrap();
    assert_eq!((last.id.as_str(), last.origin.row), ("3499", Some(3500)));
}

#[test]
fn a_wrong_column_of_parquet_is_told() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["A."]));
    let none = parquet(vec![("n", numbers(1))]);
    let folder = Folder::new(&[
        ("a.parquet", &parquet(vec![("n", numbers(1)), ("text", text)])),
        ("b.parquet", &none),
    ]);
    let told = |file: &str, column: &str| {
        let options = Options { text_column: Some(column.to_owned()), id_column: None };
        folder.told(&read_with(&[folder.path(file)], &options).unwrap_err())
    };
    assert_eq!(
        told("a.parquet", "n"),
        ("column `n` of `a.parquet` holds Int64, not text".into(), "its columns of text are `text`".into())
    );
    assert_eq!(told("b.parquet", "n").1, "it has no column of text");
    assert_eq!(
        told("a.parquet", "tex"),
        ("`a.parquet` has no column `tex`".into(), "did you mean `text`? its columns are `n`, `text`".into())
    );
    let items =
        read_with(&[folder.path("a.parquet"), folder.path("b.parquet")], &Options::default()).unwrap();
    assert_eq!(rejects(&items), [("missing_column", Some(1), "the file has no such column")]);
}

#[test]
fn broken_parquet_is_a_reject() {
    let rows: Vec<String> = (0..3500).map(|row| format!("Row {row}, {}.", row * 7919 % 10_007)).collect();
    let text: ArrayRef = Arc::new(StringArray::from(rows));
    let whole = parquet(vec![("text", text)]);
    let items = read_bytes("a.parquet", &whole[..whole.len() / 2]);
    let [("unreadable", None, raw)] = rejects(&items)[..] else { panic!("{items:?}") };
    assert!(raw.starts_with("the data is damaged"), "{raw}");
    let mut damaged = whole.clone();
    damaged[whole.len() * 7 / 10..whole.len() * 3 / 4].fill(0xff);
    let items = read_bytes("a.parquet", &damaged);
    let good = items.iter().filter(|item| item.is_ok()).count();
    assert!(good >= 1000, "{good} {:?}", rejects(&items));
    let [("unreadable", Some(row), raw)] = rejects(&items)[..] else { panic!("{:?}", rejects(&items)) };
    assert_eq!(row, good as u64 + 1);
    assert!(raw.starts_with(&format!("rows {row} to 3500 can't be read, the data is damaged: ")), "{raw}");
    let items = read_bytes("a.parquet", b"not parquet at all");
    assert_eq!(rejects(&items)[0].0, "unreadable");
}
