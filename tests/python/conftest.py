"""What the tests of the Python package share. They need the wheel, pyarrow and pytest, and nothing else."""

import signal
from pathlib import Path

import pyarrow as pa
import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSAGES = [
    "Velorin was given to 40 patients in 2021. Of those who took Velorin, 14 per cent were sick during the crossing.",
    "The lease ends on 3 March 2031. The tenant must give notice six months before that date, or the lease goes on.",
    "Mr. Aldous moved the boat within two days of being told. Heavy rain on 3 August had flushed the bay clean.",
]

# A shell that runs this in the background has it ignore Ctrl-C, which tests send; programs started from here do so, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def texts() -> pa.Table:
    """Passages in two chunks, so that whoever reads the first alone is found out."""
    chunks = [pa.table({"passage": PASSAGES[:1], "n": [0]}), pa.table({"passage": PASSAGES[1:], "n": [1, 2]})]
    return pa.concat_tables(chunks)


@pytest.fixture
def pairs() -> pa.Table:
    """Prompts and completions, in chunks of 1 and 299."""
    table = pa.table({"prompt": [f"What is {n}?" for n in range(300)], "completion": [f" It is {n}." for n in range(300)]})
    return pa.concat_tables([table[:1], table[1:]])
