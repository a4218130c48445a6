"""The template engine's goldens are what the Python package says: they are made anew and compared.

The Rust tests compare instil with the goldens. Needs PromptSource's templates in ../shared/data/promptsource.
"""

import gzip
import json
import os
import platform
import re
from pathlib import Path

import pytest

import promptsource_goldens
from conftest import ROOT

TEMPLATES = ROOT.parent / "shared" / "data" / "promptsource" / "templates"
MADE = ["own.jsonl", "corpus-rows.jsonl.gz", "corpus.jsonl.gz"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, found):
    if not TEMPLATES.is_dir():
        found("promptsource: not compared, its templates are not in ../shared/data/promptsource")
        pytest.skip("needs PromptSource's templates in ../shared/data/promptsource")
    folder = tmp_path_factory.mktemp("goldens")
    counts = promptsource_goldens.make(Path(os.environ["PROMPTSOURCE"]), TEMPLATES, folder)
    return folder, counts


def lines(path):
    """A file's lines. Of .gz what it holds: Pythons are built with different implementations of zlib."""
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines(keepends=True)
    said = re.search(r"python (\d+\.\d+)", (promptsource_goldens.GOLDENS / "README.md").read_text(encoding="utf-8"))
    if platform.python_version().rsplit(".", 1)[0] == said[1]:
        return lines
    # Another Python words its errors otherwise; their types stay.
    return [without_wording(line) for line in lines]


def without_wording(line):
    said = json.loads(line)
    if "error" in said:
        said["error"] = said["error"].split(":")[0]
    return json.dumps(said).encode()


@pytest.mark.parametrize("name", MADE)
def test_the_package_says_the_same(made, name, found):
    anew, committed = lines(made[0] / name), lines(promptsource_goldens.GOLDENS / name)
    differing = [number for number, pair in enumerate(zip(anew, committed), 1) if pair[0] != pair[1]]
    assert not differing, f"{name}: {len(differing)} lines differ, first line {differing[0]}"
    assert len(anew) == len(committed)
    found(f"promptsource 0.2.3: {name}, {len(anew):,} lines as committed")


def test_the_counts_are_the_ones_written_down(made):
    assert made[1].rstrip() in (promptsource_goldens.GOLDENS / "README.md").read_text(encoding="utf-8")
