"""Instruction-tuning data from your own text.

Each verb of the program is a function, with the program's options as keywords. Tables go in and come out as what you work
with: ``datasets.Dataset``, ``pyarrow.Table``, polars frames, or paths.

>>> import instil
>>> import pyarrow as pa
>>> notes = pa.table({"text": ["Velorin was given to 40 patients in 2021. Of those, 14 per cent felt sick during the crossing."]})
>>> run = instil.generate(notes, task=["exqa"], samples=2)
>>> run.rows.column_names
['id', 'messages']
"""

from instil._instil import VERSION as __version__
from instil._run import Progress, Run
from instil.bonito import Bonito, SamplingParams
from instil.errors import Error, InputError, LimitMissed, ModelError, OutputError, UsageError
from instil.template import Draw, Redraw, Template, Word, template
from instil.verbs import apply, compare, convert, cook, evaluate, generate, mix, remix, score, stats, train, unify

__all__ = [
    "Bonito",
    "Draw",
    "Error",
    "InputError",
    "LimitMissed",
    "ModelError",
    "OutputError",
    "Progress",
    "Redraw",
    "Run",
    "SamplingParams",
    "Template",
    "UsageError",
    "Word",
    "__version__",
    "apply",
    "compare",
    "convert",
    "cook",
    "evaluate",
    "generate",
    "mix",
    "remix",
    "score",
    "stats",
    "template",
    "train",
    "unify",
]
