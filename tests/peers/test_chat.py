"""The goldens of chat templates are what transformers renders: they are made anew and compared.

The Rust tests compare instil with the goldens.
"""

import gzip
from importlib.metadata import version

import pytest

import chat_goldens


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    return folder, chat_goldens.make(folder)


def lines(folder):
    # Pythons are built with different implementations of zlib, so that what is packed counts.
    return gzip.decompress((folder / "cases.jsonl.gz").read_bytes()).splitlines()


def test_transformers_renders_the_same(made, found):
    anew, committed = lines(made[0]), lines(chat_goldens.GOLDENS)
    differing = [number for number, pair in enumerate(zip(anew, committed), 1) if pair[0] != pair[1]]
    assert not differing, f"{len(differing)} cases differ, first line {differing[0]}"
    assert len(anew) == len(committed)
    found(f"transformers {version('transformers')}: {len(anew):,} cases of chat templates as committed")


def test_the_conversations_are_the_ones_committed(made):
    name = "conversations.json"
    assert (made[0] / name).read_bytes() == (chat_goldens.GOLDENS / name).read_bytes()


def test_the_counts_are_the_ones_written_down(made):
    # The versions behind the counts are those of the day on which they were written down.
    counts = made[1].split(" (")[0]
    assert counts in (chat_goldens.GOLDENS / "README.md").read_text(encoding="utf-8")
