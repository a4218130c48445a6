"""Tables go in and out whole, and as they are."""

import json

import pyarrow as pa
import pytest

import instil
from instil._instil import Table


def address(column: pa.ChunkedArray) -> list[int]:
    return [buffer.address for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary()])
def test_no_buffer_is_copied(kind):
    column = pa.chunked_array([pa.array([b"one", b"two"]).cast(kind), pa.array([b"three"]).cast(kind)])
    given = pa.table({"text": column, "n": pa.chunked_array([[1, 2], [3]])})
    back = pa.table(Table.of(given))
    assert back == given
    assert address(back["text"]) == address(given["text"])
    assert address(back["n"]) == address(given["n"])


def test_a_slice_is_what_it_shows(pairs):
    back = pa.table(Table.of(pairs[7:13]))
    assert back == pairs[7:13]
    assert instil.convert(pairs[7:13], to="messages").rows.num_rows == 6


def test_all_chunks_are_read(pairs):
    assert pairs["prompt"].num_chunks == 2
    rows = instil.convert(pairs, to="prompt-completion").rows
    assert rows.select(["prompt", "completion"]).combine_chunks() == pairs.combine_chunks()


def test_a_stream_is_read_to_its_end(pairs):
    batches = pairs.to_batches(max_chunksize=7)
    reader = pa.RecordBatchReader.from_batches(pairs.schema, batches)
    assert len(Table.of(reader)) == 300


def test_values_of_every_kind_are_read():
    table = pa.table({
        "prompt": pa.array(["a", "a", "b"]).dictionary_encode(),
        "completion": pa.array(["x", "y", "z"], pa.string_view()),
        "about": [{"tags": ["p", "q"], "at": 1.5}, None, {"tags": [], "at": None}],
    })
    rows = instil.convert(table, to="messages").rows.to_pylist()
    assert [row["messages"][1]["content"] for row in rows] == ["x", "y", "z"]


def test_the_hash_is_of_what_is_held(pairs):
    same = pa.concat_tables([pairs[:1], pairs[1:]])
    assert Table.of(pairs).hash() == Table.of(same).hash()
    assert Table.of(pairs).hash() != Table.of(pairs[::-1]).hash()
    # A slice holds what it shows, not what lies beneath it.
    parted = pa.table({"a": ["x", "y", "z"]})
    assert Table.of(parted[1:]).hash() == Table.of(pa.table({"a": ["y", "z"]})).hash()


def test_an_empty_table_is_told(pairs):
    with pytest.raises(instil.InputError, match="nothing could be read from `table:"):
        instil.convert(pairs[:0], to="messages")


@pytest.mark.parametrize("late", [('{"a": 1}', '{"a": 1.5}'), ('{"a": "x"}', '{"a": "y", "c": [1]}'), ('{"a": null}', '{"a": "x"}')])
def test_columns_may_come_late(late, tmp_path):
    # What the first thousand lines have is tried first, and is not the truth here.
    first, last = late
    lines = [first + "\n"] * 2000 + [last + "\n"]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    table = pa.table(Table.from_rows(str(tmp_path / "rows.jsonl")))
    assert table.num_rows == 2001
    assert table[2000:].to_pylist() == [json.loads(last)]


def test_what_is_no_input_is_told():
    with pytest.raises(instil.UsageError, match="a `int` is no input") as caught:
        instil.generate([3])
    assert "from_pylist" in caught.value.hint
    with pytest.raises(instil.UsageError, match="a `list` is no input") as caught:
        instil.generate({"text": ["a", "b"]})
    assert "pyarrow.table(columns)" in caught.value.hint
    with pytest.raises(instil.UsageError, match="there is no input"):
        instil.generate([])


def test_columns_have_one_name_each():
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])
    with pytest.raises(instil.InputError, match="two columns of the table are named `text`"):
        instil.generate(twice)
