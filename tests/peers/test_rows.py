"""What `apply` and `remix` make of labelled rows, beside the package whose templates they read, and as
`datasets` loads it."""

import gzip
import json
import os
from pathlib import Path

import datasets
import pytest

import promptsource_goldens
from conftest import ROOT, instil

SHARED = ROOT.parent / "shared" / "data"
TEMPLATES = SHARED / "promptsource" / "templates"
LEASES = ["recipes/leases/clauses.jsonl", "--templates", "recipes/leases/templates.yaml"]
CTGA = ["context", "task_input", "task_output", "dataset", "dataset_config", "task_type", "input", "output"]

datasets.disable_progress_bars()


@pytest.mark.parametrize(
    ("verb", "name", "columns"),
    [("apply", "messages", ["messages"]), ("remix", "prompt-completion", ["prompt", "completion"]), ("remix", "ctga", CTGA)],
)
def test_datasets_loads_every_split(verb, name, columns, tmp_path, found):
    folder = tmp_path / "made"
    instil(verb, *LEASES, "-o", folder, "--template", "all", "--format", name, "--split", "validation=40%", "--shard-rows", 7)
    report = json.loads((folder / "run" / "report.json").read_text())
    data = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    streamed = datasets.load_dataset(str(folder), streaming=True)
    assert sorted(data) == ["train", "validation"]
    assert sum(split.num_rows for split in data.values()) == report["rows"] == 36
    for split, rows in data.items():
        assert rows.column_names == ["id", *columns]
        assert list(streamed[split]) == rows.to_list()
    found(f"datasets: {verb} as {name}, splits of {', '.join(f'{len(rows)} {split}' for split, rows in data.items())} rows")


@pytest.mark.skipif(not TEMPLATES.is_dir(), reason="PromptSource's templates are not there")
@pytest.mark.parametrize(("flags", "truncate"), [([], False), (["--reference"], True)])
def test_apply_makes_what_the_package_makes(flags, truncate, tmp_path, found):
    """CosmosQA's rows in each of its templates: the same prompts and completions in the same order."""
    package = promptsource_goldens.load_package(Path(os.environ["PROMPTSOURCE"]), TEMPLATES)
    with gzip.open(SHARED / "cosmosqa" / "valid_first_half.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    out = tmp_path / "rows.jsonl"
    instil(
        "apply", "recipes/sources/cosmosqa.toml", "--data", SHARED, "--templates", TEMPLATES, "--template", "all",
        "--format", "prompt-completion", "-o", out, *flags,
    )
    made = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    templates = package.DatasetTemplates("cosmos_qa").templates.values()
    fields = ["context", "question", "answer0", "answer1", "answer2", "answer3", "label"]
    expected = []
    for row in rows:
        row = {name: row[name] for name in fields} | {"label": int(row["label"])}
        for template in templates:  # none of them draws
            parts = template.apply(row, truncate=truncate)
            if len(parts) == 2 and all(parts):
                expected.append({"prompt": parts[0], "completion": parts[1]})
    if not truncate:  # what comes again is dropped, but for the published rules
        expected = [json.loads(line) for line in dict.fromkeys(json.dumps(row) for row in expected)]
    assert made == expected
    found(f"promptsource: apply {' '.join(flags)} over {len(rows)} rows of CosmosQA, {len(made)} renderings equal")
