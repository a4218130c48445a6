//! The few kinds of column there are, and rows of them as JSON and as Arrow arrays.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
    UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::record::Turn;

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 64 bits.
    UInt64,
    /// Floating point, 64 bits.
    Float64,
    /// A list of numbers, signed, 32 bits.
    Int32s,
    /// A list of texts.
    Texts,
    /// A list of role and content.
    Turns,
}

/// A column's name and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name in the file.
    pub name: &'static str,
    /// What its cells hold.
    pub kind: Kind,
    /// Whether a cell may be null. Lists and what is in them never are.
    pub nullable: bool,
}

impl Column {
    /// A column without nulls.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: false }
    }

    /// A column that may have nulls.
    pub const fn nullable(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: true }
    }

    fn field(self) -> Field {
        let data_type = match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::UInt64 => DataType::UInt64,
            Kind::Float64 => DataType::Float64,
            Kind::Int32s => DataType::List(element(DataType::Int32)),
            Kind::Texts => DataType::List(element(DataType::Utf8)),
            Kind::Turns => DataType::List(element(DataType::Struct(turn_fields()))),
        };
        Field::new(self.name, data_type, self.nullable)
    }
}

/// A list's inner field, under the name that the Parquet format prescribes.
fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, false))
}

fn turn_fields() -> Fields {
    Fields::from(vec![
        Field::new("role", DataType::Utf8, false),
        Field::new("content", DataType::Utf8, false),
    ])
}

/// The Arrow schema of these columns.
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|column| column.field()).collect::<Vec<_>>()))
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// For [`Kind::Text`].
    Text(Cow<'a, str>),
    /// For [`Kind::Int32`] (there what doesn't fit becomes the greatest number) and [`Kind::Int64`].
    Int(i64),
    /// For [`Kind::UInt64`].
    UInt(u64),
    /// For [`Kind::Float64`].
    Float(f64),
    /// For [`Kind::Int32s`].
    Ints(&'a [i32]),
    /// For [`Kind::Texts`].
    Texts(Vec<&'static str>),
    /// For [`Kind::Turns`].
    Turns(&'a [Turn]),
    /// For any nullable column.
    Null,
}

impl Cell<'_> {
    /// Bytes of text in it, for deciding when enough rows are in memory.
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
            Self::Turns(turns) => turns.iter().map(|turn| turn.content.len()).sum(),
            Self::Ints(numbers) => size_of_val(*numbers),
            Self::Int(_) | Self::UInt(_) | Self::Float(_) | Self::Null => 0,
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a format: its cells under the names of its columns. It serialises as a map in that order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    columns: &'static [Column],
    cells: Vec<Cell<'a>>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(columns: &'static [Column], cells: Vec<Cell<'a>>) -> Self {
        assert_eq!(columns.len(), cells.len(), "a row has a cell for each column");
        Self { columns, cells }
    }

    /// Its cells, in the order of the format's columns.
    pub fn cells(&self) -> &[Cell<'a>] {
        &self.cells
    }

    /// Its cells, taken out.
    pub fn into_cells(self) -> Vec<Cell<'a>> {
        self.cells
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            map.serialize_entry(column.name, cell)?;
        }
        map.end()
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::UInt(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Ints(numbers) => numbers.serialize(serializer),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Turns(turns) => {
                let mut list = serializer.serialize_seq(Some(turns.len()))?;
                for turn in *turns {
                    list.serialize_element(&TurnCell(turn))?;
                }
                list.end()
            }
            Self::Null => serializer.serialize_none(),
        }
    }
}

/// A turn as chat formats write it.
struct TurnCell<'a>(&'a Turn);

impl Serialize for TurnCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("role", self.0.role.name())?;
        map.serialize_entry("content", &self.0.content)?;
        map.end()
    }
}

/// Collects rows as Arrow arrays.
pub struct Builder {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    rows: usize,
    text_bytes: usize,
}

enum ColumnBuilder {
    Text(StringBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float64(Float64Builder),
    Int32s(ListBuilder<Int32Builder>),
    Texts(ListBuilder<StringBuilder>),
    Turns(ListBuilder<StructBuilder>),
}

impl Builder {
    /// An empty builder for these columns.
    pub fn new(columns: &[Column]) -> Self {
        let builder = |column: &Column| match column.kind {
            Kind::Text => ColumnBuilder::Text(StringBuilder::new()),
            Kind::Int32 => ColumnBuilder::Int32(Int32Builder::new()),
            Kind::Int64 => ColumnBuilder::Int64(Int64Builder::new()),
            Kind::UInt64 => ColumnBuilder::UInt64(UInt64Builder::new()),
            Kind::Float64 => ColumnBuilder::Float64(Float64Builder::new()),
            Kind::Int32s => ColumnBuilder::Int32s(
                ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32)),
            ),
            Kind::Texts => ColumnBuilder::Texts(
                ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8)),
            ),
            Kind::Turns => {
                let texts = || Box::new(StringBuilder::new()) as Box<dyn ArrayBuilder>;
                let turns = StructBuilder::new(turn_fields(), vec![texts(), texts()]);
                let field = element(DataType::Struct(turn_fields()));
                ColumnBuilder::Turns(ListBuilder::new(turns).with_field(field))
            }
        };
        Self {
            schema: schema(columns),
            columns: columns.iter().map(builder).collect(),
            rows: 0,
            text_bytes: 0,
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When the cells are not of the columns' kinds.
    pub fn push(&mut self, cells: &[Cell<'_>]) {
        assert_eq!(self.columns.len(), cells.len(), "a row has a cell for each column");
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
            self.text_bytes += cell.text_bytes();
        }
        self.rows += 1;
    }

    /// How many rows are in it.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes of text are in it.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The rows as Arrow arrays; the builder is empty afterwards.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        self.text_bytes = 0;
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).expect("the arrays are built after the schema")
    }
}

impl ColumnBuilder {
    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Text(column), Cell::Text(text)) => column.append_value(text),
            (Self::Text(column), Cell::Null) => column.append_null(),
            (Self::Int32(column), Cell::Int(number)) => {
                column.append_value((*number).try_into().unwrap_or(i32::MAX))
            }
            (Self::Int32(column), Cell::Null) => column.append_null(),
            (Self::Int64(column), Cell::Int(number)) => column.append_value(*number),
            (Self::Int64(column), Cell::Null) => column.append_null(),
            (Self::UInt64(column), Cell::UInt(number)) => column.append_value(*number),
            (Self::Float64(column), Cell::Float(number)) => column.append_value(*number),
            (Self::Float64(column), Cell::Null) => column.append_null(),
            (Self::Int32s(column), Cell::Ints(numbers)) => {
                column.values().append_slice(numbers);
                column.append(true);
            }
            (Self::Texts(column), Cell::Texts(texts)) => {
                for text in texts {
                    column.values().append_value(text);
                }
                column.append(true);
            }
            (Self::Turns(column), Cell::Turns(turns)) => {
                for turn in *turns {
                    let parts = column.values();
                    for (index, text) in [turn.role.name(), &turn.content].into_iter().enumerate() {
                        let texts = parts.field_builder::<StringBuilder>(index);
                        texts.expect("both parts of a turn are texts").append_value(text);
                    }
                    parts.append(true);
                }
                column.append(true);
            }
            (_, cell) => panic!("cell {cell:?} is not of its column's kind"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Int32(column) => Arc::new(column.finish()),
            Self::Int64(column) => Arc::new(column.finish()),
            Self::UInt64(column) => Arc::new(column.finish()),
            Self::Float64(column) => Arc::new(column.finish()),
            Self::Int32s(column) => Arc::new(column.finish()),
            Self::Texts(column) => Arc::new(column.finish()),
            Self::Turns(column) => Arc::new(column.finish()),
        }
    }
}
