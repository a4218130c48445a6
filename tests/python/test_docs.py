"""Every block of Python in the documents runs, and prints what the block of text below it says.

A line `…` stands for any lines, and `…` inside a line for anything. Blocks of one document run in one place, in order,
with the repository's `examples/` and `recipes/` in it.
"""

import contextlib
import io
import re
import shutil

import pytest

from conftest import ROOT

DOCUMENTS = ["docs/guides/python.md", "docs/tutorial.md"]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fits(printed: str, expected: str) -> bool:
    lines = [re.escape(line).replace("…", ".*") for line in expected.rstrip().split("\n")]
    pattern = "\n".join("(?:.*\n)*?.*" if line == ".*" else line for line in lines)
    return re.fullmatch(pattern, printed.rstrip()) is not None


def test_what_fits():
    assert fits("a 1 b\n", "a … b") and fits("a\nb\nc", "a\n…\nc") and fits("any", "…")
    assert not fits("a 1 c", "a … b") and not fits("", "a")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(name, tmp_path, monkeypatch):
    for folder in ("examples", "recipes"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed, ran = "", 0
    for kind, text in BLOCK.findall((ROOT / name).read_text(encoding="utf-8")):
        if kind == "text":
            assert fits(printed, text), f"{name} says\n{text}\nand it was\n{printed}"
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, name, "exec"), names)
        printed, ran = out.getvalue(), ran + 1
    assert ran > 4
