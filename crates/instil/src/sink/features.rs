//! The columns of a table in the two notations of the `datasets` library: the JSON that it keeps in
//! a Parquet file's metadata under `huggingface`, and the YAML of a dataset card.
//!
//! Both are as `datasets` 5.2 writes them; the YAML's `list:` is read since 1.x, the JSON's `List`
//! since 4.0.

use serde_json::{Value, json};

use crate::format::{Column, Kind};

/// The value for the key `huggingface` of a Parquet file.
pub(super) fn json(columns: &[Column]) -> String {
    let features: serde_json::Map<String, Value> =
        columns.iter().map(|column| (column.name.to_owned(), feature(column.kind))).collect();
    json!({"info": {"features": features}}).to_string()
}

fn feature(kind: Kind) -> Value {
    let value = |kind| json!({"dtype": dtype(kind), "_type": "Value"});
    let list = |of: Value| json!({"feature": of, "_type": "List"});
    match kind {
        Kind::Int32s => list(value(Kind::Int32)),
        Kind::Texts => list(value(Kind::Text)),
        Kind::Turns => list(json!({"role": value(Kind::Text), "content": value(Kind::Text)})),
        kind => value(kind),
    }
}

/// The lines of `features:` in a dataset card, indented by two blanks.
pub(super) fn yaml(columns: &[Column]) -> String {
    let line = |column: &Column| match column.kind {
        Kind::Int32s => format!("  - name: {}\n    list: int32\n", column.name),
        Kind::Texts => format!("  - name: {}\n    list: string\n", column.name),
        Kind::Turns => format!(
            "  - name: {}\n    list:\n    - name: role\n      dtype: string\n    - name: content\n      dtype: string\n",
            column.name
        ),
        kind => format!("  - name: {}\n    dtype: {}\n", column.name, dtype(kind)),
    };
    columns.iter().map(line).collect()
}

/// The name that `datasets` gives a plain kind.
fn dtype(kind: Kind) -> &'static str {
    match kind {
        Kind::Int32 | Kind::Int32s => "int32",
        Kind::Int64 => "int64",
        Kind::UInt64 => "uint64",
        Kind::Float64 => "float64",
        Kind::Text | Kind::Texts | Kind::Turns => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    #[test]
    fn as_the_datasets_library_writes_them() {
        // Printed by datasets 5.2.0 for the same columns, without the blanks after `:` and `,`.
        assert_eq!(
            json(Format::Messages.columns()),
            r#"{"info":{"features":{"messages":{"feature":{"role":{"dtype":"string","_type":"Value"},"content":{"dtype":"string","_type":"Value"}},"_type":"List"}}}}"#,
        );
        insta::assert_snapshot!(yaml(Format::Messages.columns()), @r"
        - name: messages
          list:
          - name: role
            dtype: string
          - name: content
            dtype: string
        ");
    }
}
