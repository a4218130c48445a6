"""Rows of a call without an output stay in memory, and are those that an output would have."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import instil
from conftest import ROOT
from test_tables import address

LEASES = ROOT / "recipes/leases"
TEMPLATES = """dataset: notes
templates:
  3f5e:
    !Template
    answer_choices: null
    id: 3f5e
    jinja: "{{ prompt }} And then? ||| {{ completion }}"
    name: then
    reference: ''
    metadata: !TemplateMetadata {original_task: true, metrics: [], choices_in_prompt: false, languages: [en]}
"""


def same(of_memory, of_files):
    assert of_memory.schema.equals(of_files.schema, check_metadata=True)
    assert of_memory.combine_chunks() == of_files.combine_chunks()


@pytest.fixture
def calls(pairs, texts, tmp_path):
    """Every verb that makes rows without a model, and the output that has the same rows."""
    (tmp_path / "templates.yaml").write_text(TEMPLATES)
    templates = {"templates": tmp_path / "templates.yaml", "dataset": "notes"}
    tasks = [{"instruction": "Is it good?", "input": f"The film number {n} was fine", "output": "good"} for n in range(40)]
    return {
        "generate": (lambda **given: instil.generate(texts, text_column="passage", seed=2, **given), "out"),
        "apply": (lambda **given: instil.apply(pairs, split="validation=0.2", **templates, **given), "out"),
        "remix": (lambda **given: instil.remix(LEASES / "clauses.jsonl", templates=LEASES / "templates.yaml", format="ctga", **given), "out"),
        "cook": (lambda **given: instil.cook({"mcqa": 1, "doc_qa": 2}, rows=3000, test_rows=20, format="messages", **given), "out"),
        "mix": (lambda **given: instil.mix({"a": pairs, "b": pairs[:50]}, weights=[1, 1], rows=80, to="messages", **given), "out"),
        "convert": (lambda **given: instil.convert(pairs, to="sharegpt", **given), "out.jsonl"),
        "unify": (lambda **given: instil.unify(pa.Table.from_pylist(tasks), style="first", **given), "out.jsonl"),
        "unify to a task": (lambda **given: instil.unify(pa.Table.from_pylist(tasks), level="task", **given), "out.jsonl"),
    }


NAMES = ["generate", "apply", "remix", "cook", "mix", "convert", "unify", "unify to a task"]


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_an_output(name, calls, tmp_path):
    call, output = calls[name]
    of_memory = call()
    of_files = call(output=tmp_path / output, keep_run=True)
    assert not (of_memory._path / "data").exists(), "no file of rows was written"
    assert of_memory.splits.keys() == of_files.splits.keys()
    for split, rows in of_memory.splits.items():
        same(rows, of_files.splits[split])
    if name == "cook":
        with pytest.raises(instil.OutputError, match="of cooked rows there is none"):
            of_memory.provenance
    else:
        same(of_memory.provenance, of_files.provenance)
        same(of_memory.rejects, of_files.rejects)
    assert len(of_memory) == of_memory.report["rows"] - sum(len(rows) for split, rows in of_memory.splits.items() if split != "train")


@pytest.mark.parametrize("name", NAMES)
def test_files_are_there_when_they_are_asked_for(name, calls, tmp_path):
    call, output = calls[name]
    of_memory, of_files = instil.stats(call()), instil.stats(call(output=tmp_path / output, keep_run=True))
    for told in (of_memory, of_files):
        told.pop("report")
    assert of_memory.pop("splits", None) in (of_files.pop("splits", None), {})
    assert of_memory == of_files and of_memory["rows"] > 0


def test_nothing_is_copied_and_batches_are_large():
    run = instil.cook("mcqa", rows=100_000)
    first, second = pa.table(run), pa.table(run)
    assert address(first["prompt"]) == address(second["prompt"])
    assert first["prompt"].num_chunks == 2
    # What batches were put together from has no room to grow.
    assert sum(chunk.get_total_buffer_size() for chunk in first["prompt"].chunks) < 1.01 * first["prompt"].nbytes


def test_columns_may_be_found_late(tmp_path):
    lines = [{"prompt": f"{n}?", "completion": f"{n}"} for n in range(2000)]
    lines[700]["score"] = 3
    lines[1500] |= {"score": 0.5, "tags": [{"of": "me"}, None]}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = instil.convert(tmp_path / "rows.jsonl", to="prompt-completion").rows
    assert rows.column_names == ["prompt", "completion", "score", "tags"]
    assert rows.filter(pc.is_valid(rows["score"])).select(["score", "tags"]).to_pylist() == [
        {"score": 3.0, "tags": None},
        {"score": 0.5, "tags": [{"of": "me"}, None]},
    ]
    same(rows, instil.convert(tmp_path / "rows.jsonl", to="prompt-completion", output=tmp_path / "out.jsonl").rows)


def test_values_of_different_types_are_told_when_rows_are_asked_for(tmp_path):
    lines = [{"prompt": f"{n}?", "completion": f"{n}", "mark": n > 500 if n % 7 else "none"} for n in range(1000)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = instil.convert(tmp_path / "rows.jsonl", to="prompt-completion")
    assert run.report["rows"] == 1000
    with pytest.raises(instil.InputError, match="the rows don't fit one table") as caught:
        run.rows
    assert "`mark`" in str(caught.value) and "output" in caught.value.hint


def test_numbers_keep_their_digits_and_are_texts_among_texts(tmp_path):
    large = 2**64 - 1
    lines = [{"prompt": f"{n}?", "completion": f"{n}", "mark": n if n % 7 else "none", "id": large - n} for n in range(1000)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = instil.convert(tmp_path / "rows.jsonl", to="prompt-completion").rows
    assert rows["mark"].to_pylist() == [str(line["mark"]) for line in lines]
    assert rows["id"].to_pylist() == [line["id"] for line in lines]


def test_companions_need_an_output(pairs):
    with pytest.raises(instil.UsageError, match="stand beside a dataset") as caught:
        instil.convert(pairs, to="messages", companion="trl")
    assert "output" in caught.value.hint


def test_a_run_shows_itself(pairs, tmp_path):
    assert repr(instil.convert(pairs, to="messages")) == "Run(rows=300)"
    assert repr(instil.convert(pairs, to="messages", output=tmp_path / "a.jsonl")) == f"Run(rows=300, output='{tmp_path}/a.jsonl')"


def test_examples_in_memory_are_a_dataset():
    run = instil.generate(ROOT / "examples", limit=2)
    assert b"huggingface" in run.rows.schema.metadata
