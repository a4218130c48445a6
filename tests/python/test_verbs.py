"""Every verb, called; and that functions and flags are the same."""

import inspect
import json

import pyarrow as pa
import pytest

import instil
from conftest import PASSAGES, ROOT
from instil import _instil

# What a function has in another way: rows and reports are given back, and talk goes to `logging`.
ELSEWHERE = {"dry-run", "json", "quiet", "verbose", "rejects", "list"}
# What has no rows, or is a report on standard output.
LEFT_OUT = {
    "cook": {"report", "max-drop"},
    "mix": {"learn"},
    "unify": {"prompt-file", "make-pairs", "judge"},
}
VERBS = ["generate", "apply", "remix", "cook", "mix", "convert", "unify", "score", "train", "eval", "compare"]


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_the_flags(verb):
    function = instil.evaluate if verb == "eval" else getattr(instil, verb)
    options = inspect.signature(function).parameters.values()
    given = {option.name.rstrip("_").replace("_", "-") for option in options if option.kind is option.KEYWORD_ONLY}
    flags = {name for name, _, _ in _instil.flags(verb)}
    positional = {"benchmark"} if verb == "eval" else set()
    assert given - {"progress"} == flags - ELSEWHERE - LEFT_OUT.get(verb, set()) - positional
    for option in given - {"progress"}:
        name = "from_" if option == "from" else option.replace("-", "_")
        assert f"        {name}: " in function.__doc__, f"{verb} says nothing of {option}"


def test_generate_makes_rows_of_a_table(texts):
    run = instil.generate(texts, text_column="passage", task="exqa", samples=2, format="prompt-completion")
    assert run.rows.column_names == ["id", "prompt", "completion"]
    assert run.report["finished"] and run.report["rows"] == len(run) > 2
    # Each row knows its place: the row of the table, counted from 1.
    assert set(run.provenance["row"].to_pylist()) == {1, 2, 3}
    assert {"reason", "raw"} <= set(run.rejects.column_names)


def test_a_table_is_read_as_a_file_is(texts, tmp_path):
    # Ids are of the source's name otherwise, and every random choice is of the id.
    texts = texts.append_column("id", pa.array(["a", "b", "c"]))
    lines = "".join(json.dumps(row) + "\n" for row in texts.to_pylist())
    (tmp_path / "notes.jsonl").write_text(lines)
    options = {"text_column": "passage", "task": ["exqa", "ynqa"], "format": "alpaca", "seed": 3}
    of_table, of_file = (instil.generate(source, **options).rows for source in (texts, tmp_path / "notes.jsonl"))
    assert of_table == of_file


def test_the_same_call_gives_the_same_rows(texts):
    first, second = (instil.generate(texts, text_column="passage", threads=n).rows for n in (1, 2))
    assert first == second


def test_apply_and_remix_take_tables(tmp_path):
    template = """dataset: notes
templates:
  3f5e:
    !Template
    answer_choices: null
    id: 3f5e
    jinja: "{{ text }} Who was it? ||| {{ name }}"
    name: who
    reference: ''
    metadata: !TemplateMetadata {original_task: true, metrics: [], choices_in_prompt: false, languages: [en]}
"""
    (tmp_path / "templates.yaml").write_text(template)
    rows = pa.table({"text": ["Ada wrote it.", "Bob sang."], "name": ["Ada", "Bob"]})
    options = {"templates": tmp_path / "templates.yaml", "dataset": "notes", "format": "bonito"}
    applied = instil.apply(rows, **options).rows
    assert applied.select(["input", "output"]).to_pylist() == [
        {"input": "Ada wrote it. Who was it?", "output": "Ada"},
        {"input": "Bob sang. Who was it?", "output": "Bob"},
    ]


def test_cook_has_splits():
    run = instil.cook({"mcqa": 1, "doc_qa": 2}, rows=90, validation_rows=10, set={"doc_qa.doc_len": "20..30"}, seed=5)
    assert {name: rows.num_rows for name, rows in run.splits.items()} == {"train": 90, "validation": 10}
    assert run.report["sets"]["doc_qa"]["kept"] > run.report["sets"]["mcqa"]["kept"]
    assert "[[step]]" in run.recipe


def test_mix_takes_named_tables(pairs):
    run = instil.mix({"all": pairs, "few": pairs[:50]}, weights={"all": 3, "few": 1}, rows=100)
    assert {name: one["kept"] for name, one in run.report["sets"].items()} == {"all": 75, "few": 25}
    assert run.rows.num_rows == 100
    with pytest.raises(instil.UsageError, match="a mix in memory has columns"):
        instil.mix({"all": pairs}, rows=10, to="sharegpt")


def test_unify_takes_a_table():
    rows = [
        {"instruction": "Is the review good or bad?", "input": f"Review: the film number {n} was fine", "output": "good"}
        for n in range(40)
    ]
    run = instil.unify(pa.Table.from_pylist(rows), style="first")
    assert run.rows.num_rows == 40
    assert set(run.rows.column_names) == {"prompt", "completion"}


def test_stats_tells_what_is_there(texts):
    run = instil.generate(texts, text_column="passage", task="exqa")
    assert instil.stats(run)["rows"] == len(run)


def test_rows_go_where_output_says(texts, tmp_path):
    run = instil.generate(texts, text_column="passage", output=tmp_path / "out")
    assert run.output == tmp_path / "out"
    assert (tmp_path / "out/README.md").exists()
    # The same tables and the same options: nothing is done again.
    before = (tmp_path / "out/run/report.json").stat().st_mtime_ns
    again = instil.generate(texts, text_column="passage", output=tmp_path / "out")
    assert again.rows == run.rows and (tmp_path / "out/run/report.json").stat().st_mtime_ns == before
    with pytest.raises(instil.OutputError) as caught:
        instil.generate(texts[:1], text_column="passage", output=tmp_path / "out")
    assert isinstance(caught.value, OSError) and caught.value.hint
    # Paths work as they do for the program.
    (tmp_path / "a.txt").write_text(PASSAGES[0])
    run = instil.generate([tmp_path / "a.txt"], output=str(tmp_path / "rows.jsonl"))
    assert json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])["messages"] == run.rows[0:1].to_pylist()[0]["messages"]


def test_a_run_without_output_leaves_nothing(texts):
    run = instil.generate(texts, text_column="passage")
    folder = run.output
    assert folder.exists()
    del run
    assert not folder.exists()


def test_a_run_is_an_input(texts):
    made = instil.generate(texts, text_column="passage", task="exqa")
    converted = instil.convert(made, to="sharegpt")
    assert len(converted) == len(made)


def test_lists_may_hold_commas(tmp_path):
    (tmp_path / "a.txt").write_text(PASSAGES[0])
    (tmp_path / "replay.jsonl").write_text("")
    with pytest.raises(instil.UsageError, match="labels are given"):
        instil.generate(tmp_path / "a.txt", labels=["yes, indeed", "no"])


def test_train_score_evaluate(tmp_path, pairs):
    seen = []
    trained = instil.train(
        pairs, output=tmp_path / "model", new_model=ROOT / "recipes/models/tiny.json", frame="plain",
        progress=lambda text, share: seen.append(share),
    )
    assert (trained.output / "model.safetensors").exists()
    assert trained.report["steps"] == 19 and trained.report["finished"]
    scores = instil.score(pairs[:5], model=trained)
    assert scores.rows.num_rows == 5
    assert all(nats > 0 for nats in scores.rows["nll_nats"].to_pylist())
    assert scores.report["scored"] == 5 and scores.rejects.num_rows == 0


def test_compare_puts_evaluations_beside_each_other(tmp_path):
    benchmark = {"name": "even", "prompts": [{"name": "p", "prompt": "Is {{ n }} even?"}], "choices": ["Yes", "No"]}
    benchmark.update(gold="{{ n % 2 }}", rank={}, metrics=["accuracy"])
    (tmp_path / "even.yaml").write_text(json.dumps(benchmark))
    numbers = pa.table({"n": range(40)})
    # The second of two runs knows less than the first.
    for name, known in {"nothing": 0, "tuned-1": 40, "tuned-2": 30}.items():
        said = [["Yes", "No"][n % 2] if n < known else "Yes" for n in range(40)]
        lines = [{"prompt": f"Is {n} even?", "completion": text} for n, text in enumerate(said)]
        (tmp_path / "said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        instil.evaluate(tmp_path / "even.yaml", data=numbers, replay=tmp_path / "said.jsonl", output=tmp_path / name)
    arms = {"nothing": tmp_path / "nothing", "tuned": [tmp_path / "tuned-1", tmp_path / "tuned-2"]}
    compared = instil.compare(arms, output=tmp_path / "compared", title="Parity")
    assert compared["against"] == "nothing" and json.loads((tmp_path / "compared/comparison.json").read_text()) == compared
    assert (tmp_path / "compared/README.md").read_text().startswith("# Parity")
    [nothing, tuned] = compared["benchmarks"][0]["arms"]
    assert (nothing["value"], nothing["runs"], nothing["difference"]) == (0.5, [0.5], None)
    assert tuned["runs"] == [1.0, 0.875] and tuned["difference"]["verdict"] == "better"
    pattern = instil.compare({"nothing": arms["nothing"], "tuned": str(tmp_path / "tuned-*")}, against="tuned")
    assert pattern["benchmarks"][0]["arms"][0]["difference"]["verdict"] == "worse"
    with pytest.raises(instil.UsageError, match="no arm is named `base`"):
        instil.compare(arms, against="base")
    with pytest.raises(instil.UsageError, match="has no names"):
        instil.compare(["nothing=out"])


def test_the_examples_of_the_repository_are_read():
    run = instil.generate(ROOT / "examples", limit=2)
    assert len(run) > 0
